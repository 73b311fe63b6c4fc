"""Rows after a cached prefix against the same rows computed in full, on every architecture."""

from collections.abc import Callable

import pytest
import torch

from sempa.models import pair as pair_module
from sempa.models.batching import right_padded
from sempa.models.pair import ModelPair
from sempa.models.prefix_cache import PrefixCache, common_prefix, expand_prefix, prefix_length

MakePair = Callable[..., ModelPair]
PROMPTS = [[7, 8, 9, 10, 11], [7, 8, 9, 40], [7, 8, 9, 50, 51, 52, 53]]


def test_a_common_prefix_leaves_each_prompt_a_token() -> None:
    assert common_prefix([(1, 2, 3, 4), (1, 2, 5)]) == (1, 2)
    assert common_prefix([(1, 2, 3, 4)]) == (1, 2, 3)
    assert common_prefix([(1,), (1, 2)]) == ()
    assert common_prefix([(1, 2), (3, 2)]) == ()


@pytest.mark.parametrize("layer", [-1, 1])
def test_rows_behind_a_head_equal_whole_rows(make_pair: MakePair, architecture: str, layer: int) -> None:
    """Rows of unequal length, padded; 1e-5 in float32."""
    pair = make_pair(architecture)
    prefix = pair.prefix_cache("base", common_prefix(PROMPTS))
    assert prefix_length(prefix) == 3
    batch = right_padded([ids[3:] for ids in PROMPTS], 0)
    (states,) = pair.each_hidden_states("base", [batch], layer, prefix)
    for row, ids in zip(states, PROMPTS, strict=True):
        whole = torch.tensor([ids])
        expected = pair.hidden_states("base", whole, torch.ones_like(whole), layer)[0, 3:]
        torch.testing.assert_close(row[: len(ids) - 3], expected, atol=1e-5, rtol=0)


def test_a_head_is_of_the_variant_that_read_it(tuned_pair: ModelPair) -> None:
    whole = torch.tensor([PROMPTS[0]])
    rest = right_padded([PROMPTS[0][3:]], 0)
    expected = tuned_pair.hidden_states("sempa", whole, torch.ones_like(whole))[:, 3:]
    own, others = (
        next(tuned_pair.each_hidden_states("sempa", [rest], prefix=tuned_pair.prefix_cache(variant, PROMPTS[0][:3])))
        for variant in ("sempa", "base")
    )
    torch.testing.assert_close(own, expected, atol=1e-5, rtol=0)
    assert (others - expected).abs().max() > 1e-3


def test_no_head_is_no_tokens(tiny_pair: ModelPair) -> None:
    assert prefix_length(tiny_pair.prefix_cache("base", ())) == 0


def test_every_architecture_supports_a_prefix(make_pair: MakePair, architecture: str) -> None:
    assert make_pair(architecture).supports_prefix


def test_a_model_that_reads_them_wrongly_is_found_out(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(prefix: PrefixCache, rows: int) -> object:
        return expand_prefix([(keys, 2 * values) for keys, values in prefix], rows)

    monkeypatch.setattr(pair_module, "expand_prefix", doubled)
    assert not tiny_pair.supports_prefix


def test_a_model_that_refuses_them_is_read_whole(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> object:
        raise TypeError("forward() got an unexpected keyword argument 'cache'")

    monkeypatch.setattr(pair_module, "expand_prefix", refuse)
    assert not tiny_pair.supports_prefix
