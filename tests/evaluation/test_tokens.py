"""Aligned tokens by hand, with a vocabulary of a few words."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.evaluation import tokens
from sempa.evaluation.tokens import KeyToken, aligned_ratio, key_tokens
from sempa.models.pair import ModelPair

ALIGNED = {
    "The dogs ran home.": [("Dog", 9.0), (" ran", 8.0), ("cat", 7.0)],
    "A cat sat.": [("cat", 5.0), ("sitting", 4.0), ("", 3.0)],
}


def _aligned(sentences: Sequence[str]) -> list[list[tuple[str, float]]]:
    return [ALIGNED[sentence] for sentence in sentences]


def _split(sentence: str) -> list[str]:
    return [f" {word}" for word in sentence.removesuffix(".").split()]


def test_each_token_is_compared_with_the_sentence_s_own() -> None:
    assert key_tokens("The dogs ran home.", _aligned, _split) == [
        KeyToken("Dog", 9.0, "stem"),
        KeyToken("ran", 8.0, "exact"),
        KeyToken("cat", 7.0, "other"),
    ]
    assert [token.match for token in key_tokens("A cat sat.", _aligned, _split)] == ["exact", "other", "other"]


@pytest.mark.parametrize(
    ("sentence", "split", "top", "words"),
    [
        ("The harbour froze.", "The| har|bour| fro|ze|.", [" har", "Har", "fro", " ice"], ["harbour", "froze", "ice"]),
        ("A boat and boats.", "A| boat| and| boats|.", [" boat", "boats", " Boat"], ["boat", "boats"]),
        ("Paris and parrots.", "Par|is| and| par|rots|.", [" Par", "Paris"], ["Par", "Paris"]),
        ("我们走。", "我|们|走|。", ["我", "\n"], ["我", "\n"]),
    ],
)
def test_tokens_are_shown_as_whole_words(sentence: str, split: str, top: list[str], words: list[str]) -> None:
    """Spellings of one word count once; a start that two words share, or a script without spaces, stays a token."""
    found = key_tokens(sentence, lambda _: [[(text, 1.0) for text in top]], lambda _: split.split("|"))
    assert [token.text for token in found] == words


def test_visitors_at_once_do_not_spoil_each_other_s_stems() -> None:
    words = ["running", "happily", "nationalities", "cats", "generously", "connections"] * 40
    alone = [tokens._stems([word]) for word in words]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: [tokens._stems([word]) for word in words], range(40)))
    assert all(found == alone for found in together)


def test_parts_of_a_character_are_no_words() -> None:
    """Every part of a character decodes to the same symbol; as words, all would be equal."""
    (found,) = key_tokens("我。", lambda _: [[("\ufffd", 9.0)]], lambda _: ["\ufffd", "\ufffd", "。"])
    assert found.match == "other"
    ratio = aligned_ratio(["我。"], lambda _: [[("\ufffd", 9.0), ("。", 8.0)]], lambda _: ["\ufffd", "。"])
    assert ratio == {"sentences": 1, "gar": 1.0, "gar_stem": 1.0}


@pytest.mark.parametrize("chunk", [1, 2, 512])
def test_the_ratio_by_hand(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """Seven words in all; "ran" and "cat" are named by their own sentence, by stem "dog" too.

    That the first sentence's embedding names "cat", a word of the second alone, counts for nothing.
    """
    monkeypatch.setattr(tokens, "CHUNK", chunk)
    found = aligned_ratio(list(ALIGNED), _aligned, _split)
    assert found == {"sentences": 2, "gar": round(2 / 7, 4), "gar_stem": round(3 / 7, 4)}


def test_without_a_sentence_there_is_no_ratio() -> None:
    with pytest.raises(InputError, match="at least one sentence"):
        aligned_ratio([], _aligned, _split)


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_an_encoder_s_tokens_are_what_its_model_would_say_next(tuned_pair: ModelPair, variant: str) -> None:
    encoder = Encoder(tuned_pair)
    sentences = ["A cat sat.", "Rain!", "x"]
    found = encoder.top_tokens(encoder.states(sentences, variant), variant, 4)
    for sentence, top in zip(sentences, found, strict=True):
        text = f'This sentence : "{sentence if sentence[-1] == "." else sentence + "."}" means in one word:"'
        ids = torch.tensor([tuned_pair.tokenizer(text).input_ids])
        with tuned_pair.using(variant) as model, torch.no_grad():
            expected = model(ids).logits[0, -1].topk(4)
        assert [score for _, score in top] == pytest.approx(expected.values.tolist(), abs=1e-4)
        assert [text for text, _ in top] == [
            tuned_pair.tokenizer.decode([token]) for token in expected.indices.tolist()
        ]


def test_other_states_than_the_last_token_s_name_no_tokens(tuned_pair: ModelPair) -> None:
    from sempa.config import EncoderConfig

    with pytest.raises(InputError, match="need layer -1"):
        Encoder(tuned_pair, EncoderConfig(layer=-2)).top_tokens(np.ones((1, 32), np.float32), "base", 3)
