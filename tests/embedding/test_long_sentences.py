"""A sentence that is too long loses its end; the prompt around it stays complete."""

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sempa.config import EncoderConfig
from sempa.embedding.encoder import Encoder
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache

Batch = tuple[torch.Tensor, torch.Tensor]
MakePair = Callable[..., ModelPair]
MakeTokenizer = Callable[..., PreTrainedTokenizerFast]
HEAD, TAIL = 'This sentence : "', '" means in one word:"'
FRAME = len(HEAD) + len(TAIL)
"""Bytes, which are the tokens of the byte tokenizer."""


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the ids that reach the model, row by row."""
    rows: list[list[int]] = []
    each_hidden_states = ModelPair.each_hidden_states

    def record(
        self: ModelPair, variant: str, batches: list[Batch], layer: int = -1, prefix: PrefixCache = ()
    ) -> Iterator[torch.Tensor]:
        for ids, mask in batches:
            rows.extend(row[: int(length)].tolist() for row, length in zip(ids, mask.sum(1), strict=True))
        return each_hidden_states(self, variant, batches, layer, prefix)

    monkeypatch.setattr(ModelPair, "each_hidden_states", record)
    return rows


@pytest.mark.parametrize(
    "sentence",
    ["word " * 200, "x" * 5000, "😀" * 300, "naïve 你好 " * 100, '"' * 400, "a" * 100_000],
    ids=["words", "one word", "emoji", "mixed", "quotes", "100,000 characters"],
)
@pytest.mark.parametrize("bos", [False, True])
def test_the_prompt_around_a_long_sentence_stays_whole(
    make_pair: MakePair,
    make_tokenizer: MakeTokenizer,
    fed: list[list[int]],
    caplog: pytest.LogCaptureFixture,
    sentence: str,
    bos: bool,
) -> None:
    tokenizer = make_tokenizer(bos=bos)
    encoder = Encoder(make_pair("llama", tokenizer), EncoderConfig(max_length=128))
    with caplog.at_level(logging.WARNING, "sempa.embedding.encoder"):
        encoder.encode(["short", sentence])
    long, short = sorted(fed, key=len, reverse=True)
    assert 110 <= len(long) <= 128
    assert long[: len(HEAD) + bos] == tokenizer(HEAD).input_ids
    assert long[-len(TAIL) :] == tokenizer(TAIL, add_special_tokens=False).input_ids
    assert tokenizer.decode(short[bos:]) == f"{HEAD}short.{TAIL}"
    middle = tokenizer.decode(long[len(HEAD) + bos : -len(TAIL)])
    assert sentence.replace('"', "'").startswith(middle)
    assert "�" not in middle
    assert [record.getMessage() for record in caplog.records] == [
        "Sentence 1 is longer than 128 tokens: its end is cut off."
    ]


def test_a_sentence_that_just_fits_is_not_cut(
    tiny_pair: ModelPair, fed: list[list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    sentence = "y" * 49 + "."
    with caplog.at_level(logging.WARNING):
        Encoder(tiny_pair, EncoderConfig(max_length=FRAME + 50)).encode([sentence])
    assert [len(ids) for ids in fed] == [FRAME + 50]
    assert caplog.records == []


def test_a_cut_sentence_reads_as_its_start_does(tiny_pair: ModelPair, fed: list[list[int]]) -> None:
    encoder = Encoder(tiny_pair, EncoderConfig(max_length=FRAME + 20, template="{sentence}" + TAIL))
    row = encoder.encode(["a cat, a mat, " * 30])[0]
    kept = tiny_pair.tokenizer.decode(fed[0][: -len(TAIL)])
    whole = Encoder(tiny_pair, EncoderConfig(template="plain")).encode([kept + TAIL])[0]
    np.testing.assert_allclose(row, whole, atol=1e-5)


@pytest.mark.parametrize("room", [1, 2, 3])
def test_a_character_of_more_tokens_than_there_is_room_ends(
    tiny_pair: ModelPair, fed: list[list[int]], room: int
) -> None:
    """An emoji is four byte tokens; keeping at least one character would never terminate."""
    Encoder(tiny_pair, EncoderConfig(max_length=FRAME + room)).encode(["😀"])
    assert len(fed[0]) <= FRAME + room


@pytest.mark.parametrize("max_length", [1, FRAME])
def test_a_length_the_template_alone_fills_is_refused(tiny_pair: ModelPair, max_length: int) -> None:
    message = f"A prompt may have {max_length} tokens, but the template alone takes {FRAME}: raise max_length"
    with pytest.raises(InputError, match=message):
        Encoder(tiny_pair, EncoderConfig(max_length=max_length))


def test_the_model_s_own_length_bounds_the_prompt(make_pair: MakePair, fed: list[list[int]]) -> None:
    """GPT-2 has no positions for a longer prompt, even if the recipe allows one."""
    encoder = Encoder(make_pair("gpt2", max_position_embeddings=64), EncoderConfig(max_length=512))
    assert encoder.encode(["a cat, a mat, " * 30]).shape == (1, 32)
    assert 50 <= len(fed[0]) <= 64
