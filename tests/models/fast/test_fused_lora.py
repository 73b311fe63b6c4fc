"""The fused low-rank product and its gradients against PEFT's own forward."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sempa.training.policy import PolicyModel

IDS = torch.arange(40, 57).view(1, -1)


def _states_and_gradients(policy: PolicyModel) -> tuple[Tensor, dict[str, Tensor]]:
    with policy.pair.using("sempa") as model:
        states = model.base_model(input_ids=IDS).last_hidden_state
        states.square().mean().backward()
    return states.detach(), {name: p.grad for name, p in policy.trainable.items() if p.grad is not None}


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_states_and_gradients_are_those_of_peft(
    make_tuning: Callable[..., PolicyModel],
    make_pair: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    found = []
    for plain in ("0", "1"):
        monkeypatch.setenv("SEMPA_PLAIN", plain)
        found.append(_states_and_gradients(make_tuning(make_pair(kind))))
    (fused, fused_gradients), (plain_states, gradients) = found
    torch.testing.assert_close(fused, plain_states, rtol=1e-5, atol=1e-5)
    assert gradients.keys() == fused_gradients.keys() != set()
    for name, gradient in gradients.items():
        torch.testing.assert_close(fused_gradients[name], gradient, rtol=1e-4, atol=1e-6)
