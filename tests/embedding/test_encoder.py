"""Sentences to unit rows, against one naive forward per sentence, for every architecture and awkward sentences."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from sempa.config import EncoderConfig, Recipe
from sempa.embedding.encoder import Encoder, Rows
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError
from sempa.models.pair import ModelPair
from sempa.templates import SentenceTemplate, tidy_sentence

MakePair = Callable[..., ModelPair]
MakeTokenizer = Callable[..., PreTrainedTokenizerFast]

SENTENCES = [
    "A cat sat on the mat.",
    "Why?",
    'She said "no", twice',
    "two\nlines",
    "naïve café 😀 你好",
    "x",
    "A much longer sentence that goes on and on, about a cat, a mat, and the many things between the two",
    "A cat sat on the mat.",
]


def _unit(vector: torch.Tensor) -> Rows:
    row = vector.float().numpy()
    return row / np.linalg.norm(row)


def _naive(pair: ModelPair, prompt: str, variant: str, layer: int = -1, pooling: str = "last") -> Rows:
    """Run one rendered prompt through the complete model, unpadded."""
    ids = torch.tensor([pair.tokenizer(prompt).input_ids])
    with torch.no_grad(), pair.using(variant) as model:
        states = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states[layer][0]
    return _unit(states[-1] if pooling == "last" else states.mean(0))


def test_a_batch_equals_one_naive_forward_a_sentence(
    make_pair: MakePair, make_tokenizer: MakeTokenizer, architecture: str
) -> None:
    """On the exact prompt of the paper; 1e-5 in float32."""
    pair = make_pair(architecture, make_tokenizer(bos=True))
    rows = Encoder(pair).encode(SENTENCES)
    for row, sentence in zip(rows, SENTENCES, strict=True):
        prompt = f'This sentence : "{tidy_sentence(sentence)}" means in one word:"'
        np.testing.assert_allclose(row, _naive(pair, prompt, "base"), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("takes", "count", "fed"), [(True, 8, 1), (True, 7, 17 + 1), (False, 8, 17 + 1)])
def test_many_sentences_are_read_behind_the_prompts_head(
    tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch, takes: bool, count: int, fed: int
) -> None:
    """The prefix is 17 bytes, `This sentence : "`; for "x.", only the sentence and the template's end are fed."""
    tiny_pair.supports_prefix = takes
    shortest: list[int] = []
    each_hidden_states = ModelPair.each_hidden_states

    def record(self: ModelPair, variant: str, batches: list[Any], *rest: Any) -> Iterator[torch.Tensor]:
        shortest.append(min(int(mask.sum(1).min()) for _, mask in batches))
        return each_hidden_states(self, variant, batches, *rest)

    expected = Encoder(tiny_pair).encode_each(SENTENCES[-count:])["base"]
    monkeypatch.setattr(ModelPair, "each_hidden_states", record)
    rows = Encoder(tiny_pair).encode(SENTENCES[-count:])
    assert min(shortest) == fed + len('x." means in one word:"') - 1
    np.testing.assert_allclose(rows, expected, atol=1e-5, rtol=0)


def test_alone_equals_together(make_pair: MakePair, architecture: str) -> None:
    encoder = Encoder(make_pair(architecture))
    np.testing.assert_allclose(encoder.encode(SENTENCES), encoder.encode_each(SENTENCES)["base"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("config", [EncoderConfig(), EncoderConfig(layer=1), EncoderConfig(pooling="mean")])
@pytest.mark.parametrize("mixes", [True, False], ids=["one pass", "a pass a variant"])
def test_each_variant_at_once_equals_one_after_the_other(
    tuned_pair: ModelPair, config: EncoderConfig, mixes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_pair._switch, "mixes", mixes)
    encoder = Encoder(tuned_pair, config)
    rows = encoder.encode_each(SENTENCES)
    assert list(rows) == ["base", "sempa"]
    assert np.abs(rows["base"] - rows["sempa"]).max() > 1e-3
    for variant, values in rows.items():
        np.testing.assert_allclose(values, encoder.encode(SENTENCES, variant), atol=1e-5, rtol=0)
        assert np.array_equal(values[1], encoder.encode_each(SENTENCES[1:2])[variant][0])  # however batched
    assert {variant: values.shape for variant, values in encoder.encode_each([]).items()} == {
        "base": (0, tuned_pair.width),
        "sempa": (0, tuned_pair.width),
    }


def test_without_an_adapter_each_is_the_base(tiny_pair: ModelPair) -> None:
    encoder = Encoder(tiny_pair)
    rows = encoder.encode_each(SENTENCES)
    assert list(rows) == ["base"]
    np.testing.assert_allclose(rows["base"], encoder.encode(SENTENCES), atol=1e-5)
    with pytest.raises(InputError, match="Row 1 is empty"):
        encoder.encode_each(["a", " "])


def test_alone_does_not_depend_on_the_neighbours(tuned_pair: ModelPair) -> None:
    encoder = Encoder(tuned_pair)
    together = encoder.encode_each(SENTENCES)["sempa"]
    for row, sentence in zip(together, SENTENCES, strict=True):
        assert np.array_equal(row, encoder.encode_each([sentence])["sempa"][0])


@pytest.mark.parametrize("variant", ["base", "sempa"])
def test_each_variant_reads_its_own_weights(tuned_pair: ModelPair, variant: str) -> None:
    row = Encoder(tuned_pair).encode(["A cat sat."], variant)[0]
    np.testing.assert_allclose(
        row, _naive(tuned_pair, 'This sentence : "A cat sat." means in one word:"', variant), atol=1e-5
    )


def test_base_and_sempa_differ_and_sempa_is_the_default(tuned_pair: ModelPair, tiny_pair: ModelPair) -> None:
    encoder = Encoder(tuned_pair)
    base, sempa = (encoder.encode(SENTENCES, variant) for variant in ("base", "sempa"))
    assert np.abs(base - sempa).max() > 1e-2
    assert np.array_equal(encoder.encode(SENTENCES), sempa)
    assert (encoder.best_variant, Encoder(tiny_pair).best_variant) == ("sempa", "base")


@pytest.mark.parametrize("layer", [-2, -3, 1])
def test_an_earlier_layer(tuned_pair: ModelPair, layer: int) -> None:
    row = Encoder(tuned_pair, EncoderConfig(layer=layer)).encode(["A cat sat."])[0]
    expected = _naive(tuned_pair, 'This sentence : "A cat sat." means in one word:"', "sempa", layer)
    np.testing.assert_allclose(row, expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_states_of_any_layer_equal_a_naive_forward(make_pair: MakePair, architecture: str, pooling: str) -> None:
    pair = make_pair(architecture)
    assert pair.supports_prefix
    for layer in (-1, -3, 1):
        found = Encoder(pair, EncoderConfig(pooling=pooling, layer=layer)).states(SENTENCES, "base")
        for text, state in zip(SENTENCES, torch.from_numpy(found), strict=True):
            prompt = f'This sentence : "{tidy_sentence(text)}" means in one word:"'
            np.testing.assert_allclose(_unit(state), _naive(pair, prompt, "base", layer, pooling), atol=1e-5, rtol=0)


@pytest.mark.parametrize("layer", [3, -4, 99])
def test_a_layer_that_is_not_there_is_refused_at_once(tiny_pair: ModelPair, layer: int) -> None:
    with pytest.raises(InputError, match=f"There is no layer {layer}: tiny has layers -3 to 2"):
        Encoder(tiny_pair, EncoderConfig(layer=layer))


@pytest.mark.parametrize("layer", [-1, -2])
def test_mean_pooling_leaves_out_the_padding(make_pair: MakePair, layer: int) -> None:
    pair = make_pair()
    rows = Encoder(pair, EncoderConfig(template="plain", pooling="mean", layer=layer)).encode(SENTENCES)
    for row, sentence in zip(rows, SENTENCES, strict=True):
        np.testing.assert_allclose(row, _naive(pair, sentence, "base", layer, "mean"), atol=1e-5)


@pytest.mark.parametrize("template", ["cot", "knowledge", "Sum up: {sentence} ->"])
def test_other_templates_and_ones_own(tiny_pair: ModelPair, template: str) -> None:
    row = Encoder(tiny_pair, EncoderConfig(template=template)).encode(["A cat sat"])[0]
    prompt = SentenceTemplate.embedding(template).render("A cat sat.")
    np.testing.assert_allclose(row, _naive(tiny_pair, prompt, "base"), atol=1e-5)


@pytest.mark.parametrize("pad", [None, "</s>", "<s>"])
def test_the_pad_token_does_not_matter(make_pair: MakePair, make_tokenizer: MakeTokenizer, pad: str | None) -> None:
    """Not even for sentences that hold its text, since masks come from lengths."""
    sentences = [*SENTENCES, "it ends with </s>", "<s>", "</s> </s>"]
    expected = Encoder(make_pair("gpt2")).encode_each(sentences)["base"]
    rows = Encoder(make_pair("gpt2", make_tokenizer(pad=pad))).encode(sentences)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_rows_are_unit_float32_and_contiguous(tuned_pair: ModelPair) -> None:
    rows = Encoder(tuned_pair).encode(SENTENCES)
    assert rows.shape == (8, 32)
    assert rows.dtype == np.float32
    assert rows.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(rows[0], rows[7], atol=1e-5)


def test_bfloat16_stays_within_its_bound(make_pair: MakePair) -> None:
    """The cosine of a row encoded in a batch and alone, as `encode` promises."""
    encoder = Encoder(make_pair(dtype=torch.bfloat16))
    together, alone = encoder.encode(SENTENCES), encoder.encode_each(SENTENCES)["base"]
    np.testing.assert_allclose(together @ together.T, alone @ alone.T, atol=0.01)


def test_no_sentences_give_no_rows(tuned_pair: ModelPair) -> None:
    rows = Encoder(tuned_pair).encode([])
    assert (rows.shape, rows.dtype) == ((0, 32), np.float32)


def test_more_sentences_than_one_batch_come_back_in_order(make_pair: MakePair) -> None:
    encoder = Encoder(make_pair())
    sentences = [f"Sentence number {i}{' and more' * (i % 7)}." for i in range(90)]
    seen: list[tuple[int, int]] = []
    rows = encoder.encode(sentences, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(rows, encoder.encode_each(sentences)["base"], atol=1e-5)
    assert len(seen) >= 3
    assert seen[-1] == (90, 90)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (["ok", ""], "Row 1 is empty"),
        (["ok", "ok", " \n\t "], "Row 2 is empty"),
        ([None], "Row 0 is NoneType, not text"),
        (["ok", 5], "Row 1 is int, not text"),
        (["ok", b"bytes"], "Row 1 is bytes, not text"),
        ("one text", "takes a list of sentences, not a single text"),
    ],
)
def test_what_is_no_sentence_is_named_by_row(tiny_pair: ModelPair, sentences: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Encoder(tiny_pair).encode(sentences)


def test_an_unknown_variant_is_an_input_error(tiny_pair: ModelPair) -> None:
    with pytest.raises(InputError, match="no model 'sempa' here, only base"):
        Encoder(tiny_pair).encode(["a"], "sempa")


def test_the_recipe_comes_from_the_adapter_and_names_it(
    tuned_pair: ModelPair, adapter_folder: Path, model_folder: Path
) -> None:
    assert Encoder(tuned_pair).config == EncoderConfig()
    assert tuned_pair.adapter is not None
    object.__setattr__(tuned_pair.adapter, "recipe", Recipe(EncoderConfig(template="cot", layer=-2)))
    encoder = Encoder(tuned_pair)
    assert (encoder.config.template, encoder.config.layer) == ("cot", -2)
    assert encoder.recipe("sempa") == EncoderConfig(
        base_model=str(model_folder),
        base_revision=tuned_pair.info.revision,
        template="cot",
        layer=-2,
        adapter=tuned_pair.adapter.sha256,
    )
    assert encoder.recipe("sempa").base_revision
    assert encoder.recipe("base").adapter is None


def test_statistics_are_applied_before_the_unit_length(tiny_pair: ModelPair) -> None:
    raw = Encoder(tiny_pair).encode(SENTENCES)
    centre = Postprocess.fit("centre", {"base": np.full((1, 32), 0.1, np.float32)}, "a constant")
    rows = Encoder(tiny_pair, postprocess=centre).encode(SENTENCES)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert np.abs(rows - raw).max() > 1e-3


def test_nothing_is_said_about_sentences_that_fit(tiny_pair: ModelPair, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Encoder(tiny_pair).encode(SENTENCES)
    assert caplog.records == []


def test_a_vector_that_is_not_finite_is_refused_by_row(tiny_pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(tiny_pair)
    states = encoder.states(SENTENCES, "base")
    states[2] = np.inf
    monkeypatch.setattr(encoder, "states", lambda *_, **__: states)
    with pytest.raises(InputError, match="vector of row 12 under base is not finite: try --precision float32"):
        encoder.encode(SENTENCES, first=10)
