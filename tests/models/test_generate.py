"""Both models' texts from one batch equal those generated alone, and stopping ends the computation."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from sempa.errors import InputError
from sempa.models import generate as writing
from sempa.models.generate import Sampling, write
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_ids

PROMPTS = [
    "The hare outran the hound.",
    "?",
    "Größe 漢字 🦊 and a good deal more text after it, so that lengths differ.",
]
GREEDY = Sampling(n=1, temperature=0, max_new_tokens=40)
DRAWN = Sampling(n=4, temperature=1.0, top_p=0.95, max_new_tokens=30, seed=3)


AS_TEXT = writing._text


@pytest.fixture(autouse=True)
def _ids_for_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show answers as token ids: a random model's bytes are not text, and decoding would lose differences."""
    monkeypatch.setattr(writing, "_text", lambda _, ids: tuple(ids))


def _written(pair: ModelPair, prompt: str, sampling: Sampling, **more: Any) -> dict[str, list[tuple[int, ...]]]:
    *_, last = write(pair, prompt, sampling, **more)
    return last


@pytest.fixture
def forwards(tuned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of rows with every forward of `tuned_pair`."""
    seen: list[int] = []
    real = tuned_pair.next_logits

    def counted(variants: list[str], *args: Any) -> torch.Tensor:
        seen.append(len(variants))
        return real(variants, *args)

    monkeypatch.setattr(tuned_pair, "next_logits", counted)
    return seen


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_that_of_transformers_own_generate(
    tuned_pair: ModelPair, model_folder: Path, adapter_folder: Path, prompt: str
) -> None:
    both = _written(tuned_pair, prompt, GREEDY)
    ids = torch.tensor([request_ids(tuned_pair.tokenizer, prompt)])
    models = {
        "base": AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32),
        "sempa": PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32), str(adapter_folder)
        ),
    }
    for variant, model in models.items():
        out = model.eval().generate(input_ids=ids, max_new_tokens=40, do_sample=False, pad_token_id=0)
        expected = [token for token in out[0, ids.shape[1] :].tolist() if token not in tuned_pair.stop_ids]
        assert both[variant] == [tuple(expected)]
        assert _written(tuned_pair, prompt, GREEDY, variants=[variant]) == {variant: both[variant]}
    assert both["base"] != both["sempa"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_drawn_text_does_not_depend_on_who_writes_beside_it(tuned_pair: ModelPair, prompt: str) -> None:
    both = _written(tuned_pair, prompt, DRAWN)
    for variant in ("base", "sempa"):
        assert _written(tuned_pair, prompt, DRAWN, variants=[variant])[variant] == both[variant]


def test_same_seed_same_text_and_candidates_differ(tuned_pair: ModelPair) -> None:
    first = _written(tuned_pair, PROMPTS[0], DRAWN)
    assert _written(tuned_pair, PROMPTS[0], DRAWN) == first
    other = _written(tuned_pair, PROMPTS[0], Sampling(4, 1.0, 0.95, 30, seed=4))
    for variant in ("base", "sempa"):
        assert len(set(first[variant])) == 4
        assert set(first[variant]).isdisjoint(other[variant])


def test_temperature_zero_gives_the_same_text_n_times_whatever_the_seed(tuned_pair: ModelPair) -> None:
    one = _written(tuned_pair, PROMPTS[0], GREEDY)
    three = _written(tuned_pair, PROMPTS[0], Sampling(n=3, temperature=0, max_new_tokens=40, seed=99))
    assert three == {variant: texts * 3 for variant, texts in one.items()}
    cold = _written(tuned_pair, PROMPTS[0], Sampling(n=3, temperature=1e-40, max_new_tokens=40))
    assert cold == three


def test_every_step_grows_every_text_by_a_token(tuned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelPair, "stop_ids", frozenset())
    steps = list(write(tuned_pair, PROMPTS[0], DRAWN))
    assert len(steps) == 30
    for number, texts in enumerate(steps, start=1):
        for variant in ("base", "sempa"):
            assert texts[variant] == [ids[:number] for ids in steps[-1][variant]]


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
def test_stop_ids_end_rows_and_the_others_go_on_unchanged(
    tuned_pair: ModelPair, monkeypatch: pytest.MonkeyPatch, forwards: list[int], sampling: Sampling
) -> None:
    """With any stop ids, each row equals the row without them, cut before the first stop id."""
    monkeypatch.setattr(ModelPair, "stop_ids", frozenset())
    whole = _written(tuned_pair, PROMPTS[0], sampling)
    rows = [ids for texts in whole.values() for ids in texts]
    stops = {rows[0][9], rows[-1][4], rows[len(rows) // 2][15]}
    expected = {
        variant: [ids[: next((i for i, token in enumerate(ids) if token in stops), None)] for ids in texts]
        for variant, texts in whole.items()
    }
    lengths = [len(ids) for texts in expected.values() for ids in texts]
    assert len(set(lengths)) > 1
    forwards.clear()
    monkeypatch.setattr(ModelPair, "stop_ids", frozenset(stops))
    assert _written(tuned_pair, PROMPTS[0], sampling) == expected
    # A row is fed once for each token written and once more for the one that ends it.
    fed = sum(min(length + 1, sampling.max_new_tokens) for length in lengths)
    assert sum(forwards) == fed


def test_no_forward_after_stopped_turns_true(
    tuned_pair: ModelPair, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelPair, "stop_ids", frozenset())
    stop = False
    texts = write(tuned_pair, PROMPTS[0], DRAWN, stopped=lambda: stop)
    for _ in range(3):
        next(texts)
    stop = True
    assert list(texts) == []
    assert forwards == [8, 8, 8]
    assert list(write(tuned_pair, PROMPTS[0], DRAWN, stopped=lambda: True)) == []
    assert len(forwards) == 3


def test_no_forward_after_the_iterator_is_closed(
    tuned_pair: ModelPair, forwards: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ModelPair, "stop_ids", frozenset())
    texts = write(tuned_pair, PROMPTS[0], DRAWN)
    assert forwards == []
    next(texts)
    next(texts)
    texts.close()
    assert next(texts, None) is None
    assert len(forwards) == 2


PROBABILITIES = torch.tensor([[0.125, 0.5, 0.125, 0.25], [0.25, 0.25, 0.25, 0.25]])


@pytest.mark.parametrize(
    ("top_p", "first", "left"),
    [
        (0.0, [0, 0.5, 0, 0], 1),
        (0.25, [0, 0.5, 0, 0], 1),
        (0.5, [0, 0.5, 0, 0], 2),
        (0.51, [0, 0.5, 0, 0.25], 3),
        (0.75, [0, 0.5, 0, 0.25], 3),
        (1.0, [0.125, 0.5, 0.125, 0.25], 4),
    ],
)
def test_tail_is_cut_to_the_smallest_set_that_holds_top_p(top_p: float, first: list[float], left: int) -> None:
    cut = writing._cut_tail(PROBABILITIES, top_p)
    assert cut[0].tolist() == first
    assert int((cut[1] > 0).sum()) == left


def _draws(top_p: float, temperature: float, rounds: int) -> Iterator[int]:
    rows = [("base", i) for i in range(16)]
    sampling = Sampling(n=16, temperature=temperature, top_p=top_p)
    generators = {"base": torch.Generator().manual_seed(1)}
    for _ in range(rounds):
        yield from writing._draw(PROBABILITIES[:1].log().expand(16, 4), rows, sampling, generators)


@pytest.mark.parametrize(
    ("top_p", "temperature", "expected"),
    [
        (1.0, 1.0, [0.125, 0.5, 0.125, 0.25]),
        (0.75, 1.0, [0, 2 / 3, 0, 1 / 3]),
        (1.0, 0.5, [1 / 22, 16 / 22, 1 / 22, 4 / 22]),  # squared and scaled to 1
        (0.4, 2.0, [0, 0.5858, 0, 0.4142]),  # square roots, of which 0.369 is the largest share
    ],
)
def test_draws_follow_the_cut_distribution(top_p: float, temperature: float, expected: list[float]) -> None:
    drawn = Counter(_draws(top_p, temperature, 500))
    shares = [drawn[token] / 8000 for token in range(4)]
    np.testing.assert_allclose(shares, expected, atol=0.02)  # four standard errors
    assert {token for token in range(4) if drawn[token]} == {t for t, share in enumerate(expected) if share}


@pytest.mark.parametrize("chance", [0.0, 1 - 2**-24])
def test_the_ends_of_chance_never_give_a_token_that_was_cut(monkeypatch: pytest.MonkeyPatch, chance: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda n, generator: torch.full((n,), chance))
    assert set(_draws(0.75, 1.0, 1)) <= {1, 3}


def test_half_a_character_is_not_shown(tuned_pair: ModelPair) -> None:
    ids = tuned_pair.tokenizer(" a🦊b").input_ids
    grown = [AS_TEXT(tuned_pair, ids[:count]) for count in range(len(ids) + 1)]
    assert grown == ["", "", "a", "a", "a", "a", "a🦊", "a🦊b"]


@pytest.mark.parametrize("prompt", ["", " \n\t"])
def test_empty_prompt_is_an_input_error(tuned_pair: ModelPair, prompt: str) -> None:
    with pytest.raises(InputError, match="prompt is empty"):
        _written(tuned_pair, prompt, GREEDY)


def test_prompt_beyond_the_context_is_an_input_error(tuned_pair: ModelPair, forwards: list[int]) -> None:
    frame = len(request_ids(tuned_pair.tokenizer, "x")) - 1
    room = 1024 - frame - 40
    with pytest.raises(InputError, match="985 tokens; with 40 new ones.*1,024"):
        _written(tuned_pair, "x" * (room + 1), GREEDY)
    assert forwards == []
    assert len(_written(tuned_pair, "x" * room, GREEDY)["base"][0]) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        *({"n": 0}, {"n": 17}, {"n": 2.5}, {"n": "3"}, {"max_new_tokens": 0}, {"max_new_tokens": 1025}),
        *({"temperature": -0.1}, {"temperature": 2.1}, {"temperature": float("nan")}, {"temperature": None}),
        *({"top_p": -0.1}, {"top_p": 1.1}, {"seed": -1}, {"seed": 2**32}, {"seed": None}, {"seed": 1.5}),
    ],
)
def test_sampling_out_of_range_is_an_input_error(wrong: dict[str, Any]) -> None:
    (name, value), *_ = wrong.items()
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        Sampling(**wrong)


def test_unknown_variant_is_an_input_error(tuned_pair: ModelPair) -> None:
    with pytest.raises(InputError, match="no model 'tuned'"):
        _written(tuned_pair, "x", GREEDY, variants=["tuned"])
