"""Prepacked layers equal plain ones, and fall back for gradients, changed weights and copies."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import DynamicCache

from sempa.models.fast.prepacked import PrepackedLinear, prepack
from sempa.models.pair import ModelPair

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()),
    reason="this torch or this processor does not compute bfloat16 by oneDNN",
)
NEAR = {torch.bfloat16: {"atol": 0.02, "rtol": 0.02}, torch.float32: {"atol": 1e-5, "rtol": 1e-5}}
"""bfloat16 has eight significant bits, float32 twenty-four."""
formats = pytest.mark.parametrize("dtype", NEAR)


def _layer(bias: bool = False, dtype: torch.dtype = torch.bfloat16) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(96, 64, bias=bias).to(dtype)


@formats
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(1, 96), (6, 96), (2, 15, 96), (300, 96), (0, 96)])
def test_it_multiplies_as_a_plain_layer(shape: tuple[int, ...], bias: bool, dtype: torch.dtype) -> None:
    plain = _layer(bias, dtype)
    model = nn.Sequential(copy.deepcopy(plain))
    assert prepack(model) == 1
    assert isinstance(model[0], PrepackedLinear)
    x = torch.randn(shape, dtype=dtype)
    with torch.no_grad():
        found, exact = (
            model(x),
            nn.functional.linear(x.double(), plain.weight.double(), plain.bias.double() if bias else None),
        )
    assert found.shape == exact.shape
    assert torch.allclose(found.double(), exact, **NEAR[dtype])


def test_a_changed_weight_is_multiplied_as_it_is_now() -> None:
    model = nn.Sequential(_layer())
    prepack(model)
    x = torch.randn(3, 96, dtype=torch.bfloat16)
    with torch.no_grad():
        model[0].weight.mul_(2)
        assert torch.equal(model(x), nn.functional.linear(x, model[0].weight))
        model[0].weight.data = torch.zeros_like(model[0].weight)
        assert model(x).abs().sum() == 0


def test_a_gradient_flows() -> None:
    plain = _layer()
    model = nn.Sequential(copy.deepcopy(plain))
    prepack(model)
    gradients = []
    for one in (model, plain):
        x = torch.ones(3, 96, dtype=torch.bfloat16, requires_grad=True)
        one(x).sum().backward()
        gradients.append(x.grad)
    assert gradients[0] is not None
    assert torch.equal(*gradients)


def test_a_copy_is_a_plain_layer_that_can_be_saved() -> None:
    model = nn.Sequential(_layer())
    prepack(model)
    copied = copy.deepcopy(model)
    assert copied[0].packed is None
    assert set(copied.state_dict()) == {"0.weight"}
    x = torch.randn(3, 96, dtype=torch.bfloat16)
    assert torch.equal(copied(x), nn.functional.linear(x, model[0].weight))


@formats
@pytest.mark.parametrize("rank", [1, 4, 32])
def test_an_adapter_s_term_is_added_as_it_is_now(rank: int, dtype: torch.dtype) -> None:
    """Against the product in float64, for any number of rows; a changed factor must not use the packed copy."""
    layer = _layer(dtype=dtype)
    prepack(model := nn.Sequential(layer))
    a, b = torch.randn(rank, 96) / 96**0.5, torch.randn(64, rank)
    x, result = torch.randn(2, 5, 96).to(dtype), torch.randn(2, 5, 64).to(dtype)
    for factor in (1, 3):
        a.mul_(factor)
        with torch.no_grad():
            term = model[0].term("mine", a, b, 1.5, x)
            assert model[0].term("mine", a, b, 1.5, x) is term
            found = term.added(result, x)
        exact = result.double() + 1.5 * (x.double() @ a.double().T @ b.double().T)
        near = NEAR[dtype]
        assert torch.allclose(found.double(), exact, atol=3 * factor * near["atol"], rtol=near["rtol"])


def test_a_term_steps_aside_for_gradients_other_formats_and_copies() -> None:
    prepack(model := nn.Sequential(_layer()))
    a, b, x = torch.randn(4, 96), torch.randn(64, 4), torch.randn(3, 96, dtype=torch.bfloat16)
    assert model[0].term("mine", a, b, 1.0, x) is None
    with torch.no_grad():
        assert model[0].term("mine", a, b, 1.0, x.float()) is None
        assert model[0].term("mine", a, b, 1.0, x) is not None
        assert copy.deepcopy(model)[0].term("mine", a, b, 1.0, x) is None


@pytest.mark.parametrize(("precision", "near"), [("bfloat16", 0.05), ("float32", 1e-5)])
@pytest.mark.parametrize("first", ["writing", "reading"])
def test_a_packed_pair_writes_and_reads_whichever_comes_first(
    model_folder: Path, adapter_folder: Path, first: str, precision: str, near: float
) -> None:
    """Generation runs in inference mode, whose tensors have no version counter."""
    plain, packed = (
        ModelPair.open(str(model_folder), str(adapter_folder), precision=precision, device="cpu") for _ in range(2)
    )
    packed.for_inference()
    ids = torch.arange(97, 105).repeat(2, 1)

    def written(pair: ModelPair) -> torch.Tensor:
        return pair.next_logits(["base", "sempa"], ids, DynamicCache())

    def read(pair: ModelPair) -> torch.Tensor:
        return pair.hidden_states("sempa", ids, torch.ones_like(ids)).float()

    calls = [written, read] if first == "writing" else [read, written]
    for call in calls:
        exact = call(plain)
        torch.testing.assert_close(call(packed), exact, rtol=near, atol=near * float(exact.abs().max()))
    layers = [m for m in packed.peft.modules() if isinstance(m, PrepackedLinear)]
    assert layers
    assert any(layer.terms for layer in layers)


def test_a_processor_without_bfloat16_packs_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert prepack(nn.Sequential(_layer())) == 0
    assert prepack(nn.Sequential(_layer(dtype=torch.float32))) == 1


def test_a_large_model_is_not_held_twice_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sempa.models.fast.prepacked.FLOAT32_UP_TO", 2 * 96 * 64 * 4 - 1)
    layers = [_layer(dtype=dtype) for dtype in (torch.float32, torch.bfloat16, torch.float32)]
    assert prepack(nn.Sequential(*layers)) == 1
    assert [type(layer) is PrepackedLinear for layer in layers] == [False, True, False]


def test_other_number_formats_and_layers_stay_as_they_are() -> None:
    model = nn.Sequential(_layer(dtype=torch.float16), nn.LayerNorm(64))
    assert prepack(model) == 0
    assert type(model[0]) is nn.Linear
