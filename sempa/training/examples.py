"""Preferences as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sempa.models.prompts import padding_id, request_ids, response_ids, text_ids
from sempa.models.rows import PairIds
from sempa.training.preferences import Preference


@dataclass(frozen=True)
class Example:
    """One triplet as token ids, as far as the objective needs: ranked pair, sentence prompts, anchor as text.

    `anchor` is the anchor itself, equal for all triplets that share it.
    """

    pair: PairIds | None = None
    sentences: tuple[PairIds, ...] = ()
    text: tuple[int, ...] = ()
    anchor: str = ""

    @property
    def length(self) -> int:
        """Return the tokens of the longest sequence."""
        rows = [self.pair, *self.sentences] if self.pair else self.sentences
        return max(len(row.prompt) + max(map(len, row.responses)) for row in rows)


def tokenize(
    tokenizer: Any, preferences: Sequence[Preference], max_length: int
) -> tuple[list[Example], list[Preference]]:
    """Return the preferences as token ids, and those left out because a sequence exceeds `max_length` tokens."""
    kept, too_long = [], []
    unread = (padding_id(tokenizer),)  # a sentence is read where its next token would be predicted; none is fed
    for preference in preferences:
        pair = None
        if preference.responses:
            responses = tuple(tuple(response_ids(tokenizer, text)) for text in preference.responses)
            pair = PairIds(tuple(request_ids(tokenizer, preference.request, chat=preference.chat)), responses)
        prompts = tuple(PairIds(tuple(tokenizer(text).input_ids), (unread,)) for text in preference.sentences)
        text = tuple(text_ids(tokenizer, preference.text)) if preference.text else ()
        example = Example(pair, prompts, text, preference.anchor)
        if example.length > max_length:
            too_long.append(preference)
        else:
            kept.append(example)
    return kept, too_long
