"""Preferences as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sempa.models.prompts import padding_id, request_ids, response_ids, text_ids
from sempa.models.rows import PairIds
from sempa.training.preferences import Preference


@dataclass(frozen=True)
class Example:
    """Hold the token ids of a triplet that the objective needs: ranked pair, sentence prompts, anchor as plain text.

    `anchor` identifies the anchor: triplets with the same anchor have equal values.
    """

    pair: PairIds | None = None
    sentences: tuple[PairIds, ...] = ()
    text: tuple[int, ...] = ()
    anchor: str = ""

    @property
    def length(self) -> int:
        """Return the length of the longest sequence in tokens."""
        rows = [self.pair, *self.sentences] if self.pair else self.sentences
        return max(len(row.prompt) + max(map(len, row.responses)) for row in rows)


def tokenize(
    tokenizer: Any, preferences: Sequence[Preference], max_length: int
) -> tuple[list[Example], list[Preference]]:
    """Tokenise preferences; return the examples and the preferences dropped for exceeding `max_length` tokens."""
    kept, too_long = [], []
    unread = (padding_id(tokenizer),)  # placeholder: the embedding is the state that predicts it
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
