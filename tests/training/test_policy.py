"""A model in training: what may be trained, and whose dropout is on."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from sempa.config import TrainConfig
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.models.precision import Precision
from sempa.training.policy import PolicyModel

CONFIG = TrainConfig(lora_dropout=0.1)
MakePair = Callable[..., ModelPair]


def test_dropout_is_on_for_adapters_alone(make_pair: MakePair) -> None:
    model = PolicyModel(make_pair("gpt2"), CONFIG)
    model.train(True)
    on = {name for name, module in model.peft.named_modules() if module.training}
    assert on
    assert all(".lora_dropout" in name for name in on)
    model.train(False)
    assert not any(module.training for module in model.peft.modules())


def test_float16_and_a_second_adapter_are_refused(make_pair: MakePair, tuned_pair: ModelPair) -> None:
    with pytest.raises(InputError, match="without an adapter"):
        PolicyModel(tuned_pair, CONFIG)
    pair = make_pair()
    pair.info = replace(pair.info, precision=Precision("cpu", torch.float16, "test"))
    with pytest.raises(InputError, match="float16 gives NaN .*: use --precision bfloat16 or float32"):
        PolicyModel(pair, CONFIG)


def test_the_adapter_follows_the_seed(make_pair: MakePair) -> None:
    one, same, other = (PolicyModel(make_pair(), replace(CONFIG, seed=seed)).trainable for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one if "lora_A" in name)


def test_rank_and_scale_are_those_asked_for(make_pair: MakePair) -> None:
    model = PolicyModel(make_pair(), TrainConfig(lora_r=3, lora_alpha=12))
    assert {min(p.shape) for p in model.trainable.values()} == {3}
    config = model.peft.peft_config["sempa"]
    assert (config.r, config.lora_alpha, config.base_model_name_or_path) == (3, 12, "tiny")
