"""One set of weights under two names: each variant is correct alone, in mixed batches, and under two threads."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from sempa.errors import AdapterMismatch, InputError
from sempa.models.pair import ModelPair
from sempa.models.row_reader import RowReader
from sempa.models.rows import PairIds
from sempa.training.policy import PolicyModel

IDS = torch.randint(0, 256, (3, 17), generator=torch.Generator().manual_seed(5))
MASK = torch.ones_like(IDS)


def _states(pair: ModelPair, variant: str) -> Tensor:
    return pair.hidden_states(variant, IDS, MASK)


def _logits(pair: ModelPair, variants: list[str], ids: Tensor = IDS) -> Tensor:
    return pair.next_logits(variants, ids, DynamicCache())


def test_base_equals_the_untouched_model_exactly(tuned_pair: ModelPair, model_folder: Path) -> None:
    untouched = AutoModelForCausalLM.from_pretrained(
        model_folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    untouched.requires_grad_(False)  # torch picks another kernel, 5e-7 off, for weights that take a gradient
    with torch.no_grad():
        expected = untouched(IDS, output_hidden_states=True, logits_to_keep=1)
    assert torch.equal(_states(tuned_pair, "base"), expected.hidden_states[-1])
    assert torch.equal(_logits(tuned_pair, ["base"] * 3), expected.logits[:, -1])


def test_sempa_differs_from_base(tuned_pair: ModelPair) -> None:
    assert (_states(tuned_pair, "sempa") - _states(tuned_pair, "base")).abs().max() > 1e-2


def test_sempa_equals_an_adapter_loaded_by_peft_alone(
    tuned_pair: ModelPair, model_folder: Path, adapter_folder: Path
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager")
    tuned = PeftModel.from_pretrained(plain, str(adapter_folder)).eval()
    with torch.no_grad():
        expected = tuned(input_ids=IDS, output_hidden_states=True)
    torch.testing.assert_close(_states(tuned_pair, "sempa"), expected.hidden_states[-1], rtol=1e-6, atol=1e-6)


def test_order_of_asking_leaves_no_trace(tuned_pair: ModelPair) -> None:
    first = [_states(tuned_pair, variant) for variant in ("base", "sempa")]
    again = [_states(tuned_pair, variant) for variant in ("sempa", "base")]
    assert torch.equal(first[0], again[1])
    assert torch.equal(first[1], again[0])


def test_the_base_within_the_base_stays_the_base(tuned_pair: ModelPair) -> None:
    apart = {variant: _states(tuned_pair, variant) for variant in ("base", "sempa")}
    with tuned_pair.using("base"):
        assert torch.equal(_states(tuned_pair, "base"), apart["base"])
        with pytest.raises(ZeroDivisionError), tuned_pair.using("base"):
            raise ZeroDivisionError
        assert torch.equal(_states(tuned_pair, "base"), apart["base"])
    assert torch.equal(_states(tuned_pair, "sempa"), apart["sempa"])


@pytest.mark.parametrize(
    "config",
    [LoraConfig(modules_to_save=["norm"], target_modules=["q_proj"]), IA3Config(task_type="CAUSAL_LM")],
    ids=str,
)
def test_adapters_of_other_kinds_are_off_in_the_base(
    tuned_pair: ModelPair, model_folder: Path, tmp_path: Path, config: PeftConfig
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32, attn_implementation="eager")
    torch.manual_seed(0)
    tuned = get_peft_model(plain, config)
    for name, weight in tuned.named_parameters():
        if "lora_" in name or "ia3_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(weight)
    tuned.save_pretrained(str(tmp_path / "adapter"))
    pair = ModelPair.open(str(model_folder), str(tmp_path / "adapter"), precision="float32", device="cpu")
    assert torch.equal(_states(pair, "base"), _states(tuned_pair, "base"))
    with torch.no_grad():
        expected = tuned.eval()(input_ids=IDS, output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(_states(pair, "sempa"), expected, rtol=1e-5, atol=1e-5)
    assert not torch.equal(_states(pair, "sempa"), _states(pair, "base"))


def test_mixed_batch_equals_separate_variants(tuned_pair: ModelPair) -> None:
    variants = ["sempa", "base", "sempa"]
    mixed = _logits(tuned_pair, variants)
    for row, variant in enumerate(variants):
        alone = _logits(tuned_pair, [variant], IDS[row : row + 1])
        torch.testing.assert_close(mixed[row : row + 1], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_both_variants_in_one_pass_equal_one_after_the_other_on_every_architecture(
    architecture: str, dtype: str, save_model: Callable[..., Path], make_tuning: Callable[..., Any], tmp_path: Path
) -> None:
    """OPT flattens all rows for its MLP; layers that are not plain linear take another path."""
    folder = str(save_model(tmp_path / "base", architecture))
    make_tuning(ModelPair.open(folder, precision="float32", device="cpu"), spread=0.3).save(tmp_path / "adapter")
    pair = ModelPair.open(folder, str(tmp_path / "adapter"), precision=dtype, device="cpu")
    exact = {"float32": 1e-5, "bfloat16": 0.05}[dtype]
    separate = {variant: _states(pair, variant) for variant in ("base", "sempa")}
    assert (separate["base"] - separate["sempa"]).abs().max() > 10 * exact
    for number, states in enumerate(pair.each_alone(IDS.split(1))):
        for place, variant in enumerate(("base", "sempa")):
            alone = separate[variant][number]
            torch.testing.assert_close(states[place], alone, rtol=exact, atol=exact * float(alone.abs().max()))
    variants = ["sempa", "base", "sempa"]
    mixed = _logits(pair, variants)
    for row, variant in enumerate(variants):
        alone = _logits(pair, [variant], IDS[row : row + 1])[0]
        torch.testing.assert_close(mixed[row], alone, rtol=exact, atol=exact * float(alone.abs().max()))


def test_layers_given_tokens_without_their_rows_are_refused(tuned_pair: ModelPair) -> None:
    """Like experts: the layer sees three of six tokens without their rows."""
    switch = tuned_pair._switch
    switch.find_layers()
    layer = switch._layers[0]
    with switch.mixed(tuned_pair._adapter_name, [False, True]), pytest.raises(AdapterMismatch, match="such as experts"):
        layer(torch.zeros(3, layer.in_features))


@pytest.mark.parametrize("variants", [["base"] * 3, ["sempa"] * 3, ["base", "sempa", "base"]])
def test_incremental_cache_equals_a_full_forward(tuned_pair: ModelPair, variants: list[str]) -> None:
    cache = DynamicCache()
    for start, end in ((0, 9), (9, 10), (10, 11), (11, 17)):
        grown = tuned_pair.next_logits(variants, IDS[:, start:end], cache)
    assert cache.get_seq_length() == 17
    torch.testing.assert_close(grown, _logits(tuned_pair, variants), rtol=1e-5, atol=1e-5)


def test_earlier_layers_are_counted_from_the_end(tuned_pair: ModelPair) -> None:
    with torch.no_grad(), tuned_pair.using("sempa") as model:
        expected = model(IDS, output_hidden_states=True).hidden_states
    for layer in (-3, -2, -1, 0, 1, 2):
        torch.testing.assert_close(tuned_pair.hidden_states("sempa", IDS, MASK, layer), expected[layer])


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there_is_an_input_error(tuned_pair: ModelPair, layer: int) -> None:
    with pytest.raises(InputError, match=f"[Ll]ayer {layer}.*-3 to 2"):
        tuned_pair.hidden_states("base", IDS, MASK, layer)


def test_two_threads_get_what_one_thread_gets(tuned_pair: ModelPair) -> None:
    """Without the lock, nearly every tuned forward is wrong: the adapter switch is global."""
    expected = {variant: _states(tuned_pair, variant) for variant in ("base", "sempa")}
    wrong: list[str] = []
    rounds = dict.fromkeys(expected, 0)

    def ask(variant: str) -> None:
        for _ in range(200):
            rounds[variant] += 1
            if not torch.equal(_states(tuned_pair, variant), expected[variant]):
                wrong.append(variant)

    threads = [threading.Thread(target=ask, args=(variant,)) for variant in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert rounds == {"base": 200, "sempa": 200}


def test_mixed_batches_and_single_variants_take_turns(tuned_pair: ModelPair) -> None:
    """A mixed batch hooks every LoRA layer until it returns, so it needs the same lock."""
    mixed, base = _logits(tuned_pair, ["base", "sempa", "base"]), _states(tuned_pair, "base")
    wrong: list[str] = []

    def ask(kind: str) -> None:
        for _ in range(50):
            if kind == "mixed":
                same = torch.equal(_logits(tuned_pair, ["base", "sempa", "base"]), mixed)
            else:
                same = torch.equal(_states(tuned_pair, "base"), base)
            if not same:
                wrong.append(kind)

    threads = [threading.Thread(target=ask, args=(kind,)) for kind in ("mixed", "single")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("variant", ["tuned", "", "BASE", "__base__"])
def test_unknown_variant_is_an_input_error_naming_the_known(tuned_pair: ModelPair, variant: str) -> None:
    with pytest.raises(InputError, match="only base and sempa"):
        _states(tuned_pair, variant)
    with pytest.raises(InputError, match="only base and sempa"):
        _logits(tuned_pair, ["base", variant, "sempa"])


def test_without_an_adapter_there_is_only_base(tiny_pair: ModelPair) -> None:
    assert tiny_pair.variants == ("base",)
    for variants in (["sempa"], ["base", "sempa", "base"]):
        with pytest.raises(InputError, match="There is no model 'sempa' here, only base"):
            _logits(tiny_pair, variants)


def test_open_tells_what_was_loaded(tuned_pair: ModelPair, model_folder: Path, adapter_folder: Path) -> None:
    assert tuned_pair.info.name == str(model_folder)
    assert (tuned_pair.width, tuned_pair.dtype, tuned_pair.device) == (32, torch.float32, torch.device("cpu"))
    assert tuned_pair.adapter is not None
    assert tuned_pair.adapter.folder == adapter_folder
    assert tuned_pair.adapter.recipe is None
    with tuned_pair.using("base") as model:
        assert tuned_pair.info.parameters == sum(p.numel() for n, p in model.named_parameters() if "lora" not in n)


def test_a_further_adapter_shares_weights_and_answers_as_if_alone(
    tuned_pair: ModelPair, model_folder: Path, other_adapter: Path
) -> None:
    own = {variant: _states(tuned_pair, variant) for variant in ("base", "sempa")}
    alone = ModelPair.open(str(model_folder), str(other_adapter), precision="float32", device="cpu")
    other = tuned_pair.with_adapter(str(other_adapter))
    assert other.adapter is not None
    assert (other.adapter.name, other.adapter.sha256) == ("other", alone.adapter.sha256)
    assert other.adapter_parameters == alone.adapter_parameters != tuned_pair.adapter_parameters
    with tuned_pair.using("base") as first, other.using("base") as second:
        assert first is second
    for _ in range(2):  # whichever was asked last
        assert torch.equal(_states(other, "sempa"), _states(alone, "sempa"))
        assert torch.equal(_states(other, "base"), own["base"])
        assert torch.equal(_states(tuned_pair, "sempa"), own["sempa"])
    both = ["base", "sempa", "sempa"]
    assert torch.equal(_logits(other, both), _logits(alone, both))
    assert not torch.equal(_logits(tuned_pair, both)[1], _logits(other, both)[1])


def test_threads_with_different_adapters_never_get_each_other_s(tuned_pair: ModelPair, other_adapter: Path) -> None:
    pairs = [tuned_pair, tuned_pair.with_adapter(str(other_adapter))]
    expected = {(i, v): _states(pair, v) for i, pair in enumerate(pairs) for v in ("base", "sempa")}
    wrong = []

    def loop(which: int, variant: str) -> None:
        for _ in range(40):
            if not torch.equal(_states(pairs[which], variant), expected[which, variant]):
                wrong.append((which, variant))

    threads = [threading.Thread(target=loop, args=key) for key in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_further_adapter_that_does_not_fit_leaves_the_first_at_work(
    tuned_pair: ModelPair, save_model: Callable[..., Path], make_tuning: Callable[..., PolicyModel], tmp_path: Path
) -> None:
    before = _states(tuned_pair, "sempa")
    wide = save_model(tmp_path / "wide", hidden_size=48)
    make_tuning(ModelPair.open(str(wide), precision="float32", device="cpu")).save(tmp_path / "misfit")
    with pytest.raises(AdapterMismatch, match="does not fit"):
        tuned_pair.with_adapter(str(tmp_path / "misfit"))
    assert torch.equal(_states(tuned_pair, "sempa"), before)
    assert list(tuned_pair.peft.peft_config) == ["sempa"]


def test_a_gpu_takes_as_many_tokens_at_once_as_half_its_free_memory_holds(
    tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tiny_pair.forward_tokens == 512
    monkeypatch.setattr(ModelPair, "device", property(lambda _: torch.device("cuda")))
    a_token = tiny_pair.layers * tiny_pair.width * 34 + tiny_pair.vocabulary * 16
    large, small = int(8e9), int(1e8)
    for parameters, free, expected in (
        (large, 2 * 1000 * a_token, 1000),
        (large, 10**12, 4096),
        (large, 10, 512),
        (small, 10**12, 40_000),
        (small, 2 * 9000 * a_token, 9000),
    ):
        monkeypatch.setattr(tiny_pair, "info", replace(tiny_pair.info, parameters=parameters))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 10**12))
        assert tiny_pair.forward_tokens == expected


def test_a_gpu_reads_a_head_apart_only_where_that_spares_much(
    tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not tiny_pair.is_launch_bound(1)
    prompts = [PairIds((1, 2, 3, last), ((257,),)) for last in (4, 5)]
    monkeypatch.setattr(ModelPair, "is_launch_bound", lambda _, tokens: tokens < 30)
    found = [RowReader(tiny_pair, prompts, logits=False, token_cap=64, rows=rows).layout for rows in (9, 10, None)]
    assert [layout.rpartition("of ")[2] for layout in found] == ["0 tokens", "3 tokens", "3 tokens"]
    monkeypatch.undo()
    monkeypatch.setattr(ModelPair, "device", property(lambda _: torch.device("cuda")))
    least = int(4e12 / tiny_pair.info.parameters)
    assert [tiny_pair.is_launch_bound(tokens) for tokens in (least - 1, least + 1)] == [True, False]


def test_a_base_alone_takes_no_further_adapter(tiny_pair: ModelPair, other_adapter: Path) -> None:
    with pytest.raises(InputError, match="There is no model 'sempa' here"):
        tiny_pair.with_adapter(str(other_adapter))
