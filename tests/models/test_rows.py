"""Pairs as token rows, each layout written out by hand."""

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sempa.errors import InputError
from sempa.models.batching import length_batches
from sempa.models.rows import PairIds, plain_rows, shared_rows
from sempa.training.examples import tokenize
from sempa.training.preferences import Preference

MakeTokenizer = Callable[..., PreTrainedTokenizerFast]
PAIRS = [PairIds((1, 2, 3, 4), ((10, 11, 9), (12, 9))), PairIds((1, 2, 5), ((13, 9), (9,)))]
"""Common prefix (1, 2); 9 closes every response."""


def test_pairs_as_ids_by_hand(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer(bos=True)
    pair = Preference("Ab", ("c", "dd"))
    (example,), _ = tokenize(tokenizer, [pair], 1024)
    a, b, c, d, line = (tokenizer.convert_tokens_to_ids(symbol) for symbol in ("A", "b", "c", "d", "Ċ"))
    assert example.pair == PairIds((256, a, b, line), ((c, 257), (d, d, 257)))


def test_a_chat_template_brings_its_own_special_tokens(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer(bos=True, chat=True)
    (example,), _ = tokenize(tokenizer, [Preference("Ab", ("c", "d"))], 1024)
    assert example.pair is not None
    assert 256 not in example.pair.prompt
    assert tokenizer.decode(example.pair.prompt) == (
        "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nAb<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_pairs_over_the_length_are_left_out_whole(make_tokenizer: MakeTokenizer) -> None:
    """Prompt 3, longer answer 2: 5 tokens."""
    pairs = [Preference("Ab", ("c", "")), Preference("Ab", ("c", "long"))]
    kept, too_long = tokenize(make_tokenizer(), pairs, 5)
    assert [len(example.pair.prompt) for example in kept if example.pair] == [3]
    assert too_long == pairs[1:]


def test_a_tokenizer_without_an_end_is_an_input_error(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(InputError, match="no end-of-sequence token"):
        tokenize(tokenizer, [Preference("a", ("b", "c"))], 9)


def test_shared_rows_by_hand() -> None:
    """Rows [3 4 | 10 11 | 12] and [5 | 13 | (nothing)]: no response's last token is fed."""
    batch = shared_rows(PAIRS, [7, 5], prefix=2, pad=0, dtype=torch.float32)
    assert batch.input_ids.tolist() == [[3, 4, 10, 11, 12], [5, 13, 0, 0, 0]]
    assert batch.position_ids.tolist() == [[2, 3, 4, 5, 4], [2, 3, 0, 0, 0]]
    assert batch.at.tolist() == [1, 2, 3, 1, 4, 5, 6, 5]
    assert batch.targets.tolist() == [10, 11, 9, 12, 9, 13, 9, 9]
    assert batch.segments.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
    assert (batch.pairs, batch.candidates, batch.order) == (2, 2, (7, 5))
    assert [PAIRS[0].row_length(2), PAIRS[1].row_length(2)] == [5, 2]


def test_block_mask_by_hand() -> None:
    """Columns: two of the prefix, then the row's own tokens; the second response does not see the first."""
    mask = shared_rows(PAIRS, [0, 1], prefix=2, pad=0, dtype=torch.float32).attention_mask
    assert mask.shape == (2, 1, 5, 7)
    seen = (mask[:, 0] == 0).int().tolist()
    assert seen[0] == [
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0, 0, 1],
    ]
    assert seen[1][:2] == [[1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0]]
    assert all(sum(row) > 0 for row in seen[1])
    assert set(mask.unique().tolist()) == {0.0, torch.finfo(torch.float32).min}


def test_plain_rows_by_hand() -> None:
    batch = plain_rows(PAIRS, [0, 1], pad=0)
    assert batch.input_ids.tolist() == [
        [1, 2, 3, 4, 10, 11],
        [1, 2, 3, 4, 12, 0],
        [1, 2, 5, 13, 0, 0],
        [1, 2, 5, 0, 0, 0],
    ]
    assert batch.attention_mask.sum(1).tolist() == [6, 5, 4, 3]
    assert batch.at.tolist() == [3, 4, 5, 9, 10, 14, 15, 20]
    assert batch.targets.tolist() == [10, 11, 9, 12, 9, 13, 9, 9]
    assert batch.segments.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]


def test_packing_by_hand() -> None:
    assert length_batches([3, 9, 4, 4, 20], cap=12) == [[4], [1], [2, 3, 0]]
    assert length_batches([5, 5, 5], cap=0) == [[0], [1], [2]]
    assert length_batches([], cap=10) == []


def test_packing_keeps_every_row_once_and_the_cap() -> None:
    lengths = torch.randint(1, 60, (200,), generator=torch.Generator().manual_seed(2)).tolist()
    groups = length_batches(lengths, cap=100)
    assert sorted(row for group in groups for row in group) == list(range(200))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[row] for row in group) <= 100


def test_a_plain_request_is_its_bare_text(make_tokenizer: MakeTokenizer) -> None:
    tokenizer = make_tokenizer(chat=True, bos=True)
    (example,), _ = tokenize(tokenizer, [Preference("Ab", ("c", "d"), chat=False)], 1024)
    assert example.pair is not None
    assert list(example.pair.prompt) == [256, *tokenizer("Ab", add_special_tokens=False).input_ids]
