"""The exported folder against the encoder, through the library itself."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from transformers import AutoTokenizer

from sempa.config import EncoderConfig
from sempa.data.corpora import read_corpus
from sempa.data.scored_pairs import ScoredPairs
from sempa.embedding.encoder import Encoder
from sempa.embedding.export import export_sentence_transformers
from sempa.embedding.index import INDEX_ROOT, TEXTS
from sempa.embedding.postprocess import Postprocess
from sempa.errors import InputError, StorageError
from sempa.evaluation.sts import sts_spearman
from sempa.models.pair import ModelPair
from sempa.training.policy import PolicyModel

SENTENCES = [
    "A cat",
    "Really?",
    'He said "no"',
    "  two\n lines ",
    "漢字 Größe.",
    "x",
    "a\x1fb",
    'He asked "why?"',
    "The hare outran the hound, " * 9,
]


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")


@pytest.fixture
def tuned(
    architecture: str, tmp_path: Path, save_model: Callable[..., Path], make_tuning: Callable[..., PolicyModel]
) -> ModelPair:
    folder = save_model(tmp_path / "base", architecture)
    make_tuning(ModelPair.open(str(folder), precision="float32", device="cpu")).save(tmp_path / "adapter")
    return ModelPair.open(str(folder), str(tmp_path / "adapter"), precision="float32", device="cpu")


def _agree(encoder: Encoder, folder: Path, variant: str, library: Any) -> None:
    export_sentence_transformers(encoder, folder, variant)
    loaded = library.SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(loaded.encode(SENTENCES), encoder.encode(SENTENCES, variant), atol=1e-5)
    np.testing.assert_allclose(loaded.encode(SENTENCES[0]), encoder.encode(SENTENCES[:1], variant)[0], atol=1e-5)


def test_the_library_gives_the_same_vectors(tuned: ModelPair, tmp_path: Path, library: Any) -> None:
    encoder = Encoder(tuned)
    before = encoder.encode(SENTENCES, "sempa")
    for variant in ("base", "sempa"):
        _agree(encoder, tmp_path / "out" / variant, variant, library)
    assert np.array_equal(encoder.encode(SENTENCES, "sempa"), before)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["base", "sempa"]
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len({path.stat().st_mode for path in written}) == 1, "all may be read alike"


def test_other_engines_parse_the_pooling(tuned_pair: ModelPair, tmp_path: Path, library: Any) -> None:
    """text-embeddings-inference requires these three booleans and `word_embedding_dimension`."""
    for pooling, name in (("last", "lasttoken"), ("mean", "mean")):
        export_sentence_transformers(Encoder(tuned_pair, EncoderConfig(pooling=pooling)), tmp_path / name)
        config = json.loads((tmp_path / name / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        assert config["pooling_mode"] == name
        assert config["word_embedding_dimension"] == tuned_pair.width
        booleans = ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_lasttoken")
        assert [config[key] for key in booleans] == [False, pooling == "mean", pooling == "last"]


def test_a_framed_tokenizer_gives_the_ids_of_the_template(tuned: ModelPair, tmp_path: Path, library: Any) -> None:
    """Also at the seams, since framing comes before tokenization."""
    encoder = Encoder(tuned)
    if "Qwen" in type(AutoTokenizer.from_pretrained(tuned.info.name)).__name__:
        with pytest.raises(InputError, match="rebuilds the tokenizer"):
            export_sentence_transformers(encoder, tmp_path / "out", framed=True)
        return
    export_sentence_transformers(encoder, tmp_path / "out", framed=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert [tokenizer(sentence).input_ids for sentence in SENTENCES] == encoder._prompts(SENTENCES)
    loaded = library.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    np.testing.assert_allclose(loaded.encode(SENTENCES), encoder.encode(SENTENCES), atol=1e-5)


@pytest.mark.slow
def test_a_framed_tokenizer_gives_the_default_model_s_ids(tmp_path: Path, library: Any) -> None:
    encoder = Encoder.default()
    export_sentence_transformers(encoder, tmp_path / "out", dtype="bfloat16", framed=True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = read_corpus(INDEX_ROOT / "demo" / TEXTS).texts
    assert [tokenizer(text).input_ids for text in texts] == encoder._prompts(texts)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_stored_in_the_dtype_asked_for(
    tuned_pair: ModelPair, tmp_path: Path, library: Any, dtype: str
) -> None:
    plain = Encoder(tuned_pair)
    rows = {variant: plain.encode([f"Number {i * i}." for i in range(60)], variant) for variant in ("base", "sempa")}
    encoder = Encoder(tuned_pair, plain.config, Postprocess.fit("centre", rows, "sixty sentences"))
    export_sentence_transformers(encoder, tmp_path / "out", "sempa", dtype)
    for path in (tmp_path / "out").rglob("*.safetensors"):
        assert {str(tensor.dtype) for tensor in load_file(path).values()} == {f"torch.{dtype}"}
    loaded = library.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    found, known = loaded.encode(SENTENCES), encoder.encode(SENTENCES, "sempa")
    assert np.min(np.sum(found * known, axis=1)) > 0.99
    with pytest.raises(InputError, match="'int3' is unknown: choose float32"):
        export_sentence_transformers(encoder, tmp_path / "other", dtype="int3")


def test_the_card_says_what_it_is_and_how_to_load_it(
    tuned_pair: ModelPair, adapter_folder: Path, tmp_path: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tuned_pair.adapter
    front = "---\nlibrary_name: peft\nlicense: cc-by-sa-4.0\n---\n\n"
    card = "# Adapter of a test\n\nText.\n\n## Scores\n81.22\n\n![picture](training.png)\n\n## Use\nNot this.\n"
    shutil.copytree(adapter_folder, tmp_path / "own")
    (tmp_path / "own" / "README.md").write_text(front + card, encoding="utf-8")
    export_sentence_transformers(Encoder(tuned_pair.with_adapter(str(tmp_path / "own"))), tmp_path / "out")
    written = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert written.startswith("---\nlibrary_name: sentence-transformers\n")
    assert "\nlicense: cc-by-sa-4.0\n" in written
    assert f"with the adapter own (SHA-256 `{tuned_pair.adapter.sha256}`)" in written
    assert "SentenceTransformer('out')" in written
    assert 'template: `This sentence : "{sentence}" means in one word:"`' in written
    assert "## Adapter of a test\n\nText.\n\n### Scores\n81.22\n" in written
    assert "Not this." not in written
    assert "training.png" not in written
    export_sentence_transformers(Encoder(tuned_pair), tmp_path / "base", "base")
    assert "without an adapter" in (tmp_path / "base" / "README.md").read_text(encoding="utf-8")
    monkeypatch.setattr(tuned_pair, "info", replace(tuned_pair.info, name="gemma3-270m"))
    export_sentence_transformers(Encoder(tuned_pair), tmp_path / "gemma", "base")
    card = (tmp_path / "gemma" / "README.md").read_text(encoding="utf-8")
    assert "base_model: google/gemma-3-270m\nlicense: gemma\n" in card
    assert "Gemma Terms of Use" in card


def test_special_tokens_of_the_tokenizer_go_with_it(
    tmp_path: Path, save_model: Callable[..., Path], make_tokenizer: Callable[..., Any], library: Any
) -> None:
    folder = save_model(tmp_path / "base")
    make_tokenizer(bos=True).save_pretrained(folder)
    pair = ModelPair.open(str(folder), precision="float32", device="cpu")
    assert pair.tokenizer("a").input_ids[0] == pair.tokenizer.bos_token_id
    _agree(Encoder(pair), tmp_path / "out", "base", library)


@pytest.mark.parametrize("config", [{"template": "plain", "pooling": "mean"}, {"template": "knowledge"}], ids=str)
def test_template_and_pooling_go_with_it(
    tuned_pair: ModelPair, tmp_path: Path, library: Any, config: dict[str, str]
) -> None:
    _agree(Encoder(tuned_pair, EncoderConfig(**config)), tmp_path / "out", "sempa", library)


@pytest.mark.parametrize("kind", ["centre", "remove-top", "whiten"])
def test_post_processing_goes_with_it(tuned_pair: ModelPair, tmp_path: Path, library: Any, kind: str) -> None:
    plain = Encoder(tuned_pair)
    texts = [f"Sentence {i * i} is number {i}." for i in range(60)]
    rows = {variant: plain.encode(texts, variant) for variant in ("base", "sempa")}
    statistics = Postprocess.fit(kind, rows, "sixty sentences")
    _agree(Encoder(tuned_pair, plain.config, statistics), tmp_path / "out", "base", library)


def test_an_adapter_that_is_not_the_first_is_the_one_written(
    tuned_pair: ModelPair, other_adapter: Path, tmp_path: Path, library: Any
) -> None:
    other = tuned_pair.with_adapter(str(other_adapter))
    Encoder(tuned_pair).encode(SENTENCES)  # the first was used last
    _agree(Encoder(other), tmp_path / "out", "sempa", library)


def test_a_long_text_loses_its_end_and_not_the_prompt_s(tuned_pair: ModelPair, tmp_path: Path, library: Any) -> None:
    encoder = Encoder(tuned_pair, EncoderConfig(max_length=80))
    export_sentence_transformers(encoder, tmp_path / "out")
    loaded = library.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    ids = loaded.preprocess(["word " * 300])["input_ids"][0]
    text = loaded.tokenizer.decode(ids)
    assert len(ids) == 80
    assert text.startswith('This sentence : "word word')
    assert text.endswith('" means in one word:"')


@pytest.mark.usefixtures("library")
def test_a_full_disk_is_a_storage_error(
    tuned_pair: ModelPair, tmp_path: Path, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with full_disk(20_000), pytest.raises(StorageError, match="export could not be written.*make room"):
        export_sentence_transformers(Encoder(tuned_pair), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_exported_is_one_sentence(tuned_pair: ModelPair, tmp_path: Path, library: Any) -> None:
    with pytest.raises(InputError, match="exists already"):
        export_sentence_transformers(Encoder(tuned_pair), tmp_path)
    with pytest.raises(InputError, match="reads layer -2"):
        export_sentence_transformers(Encoder(tuned_pair, replace(EncoderConfig(), layer=-2)), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_mteb_scores_the_folder_as_we_score_the_encoder(
    tuned_pair: ModelPair, tmp_path: Path, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MTEB's own STS benchmark on local pairs, without the hub."""
    mteb = pytest.importorskip("mteb", reason="mteb is not installed")
    from datasets import Dataset, DatasetDict

    rng = np.random.default_rng(0)
    first = [f"{words} {i}" for i, words in enumerate(rng.choice(["A cat", "Two dogs ran", "Rain fell"], 40))]
    second = [f"{words} {i}" for i, words in enumerate(rng.choice(["A cat sat", "Dogs", "It rained"], 40))]
    scores = rng.uniform(0, 5, 40)
    encoder = Encoder(tuned_pair)
    export_sentence_transformers(encoder, tmp_path / "out", "sempa")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    task = mteb.get_task("STSBenchmark")
    rows = {"sentence1": first, "sentence2": second, "score": scores.tolist()}
    task.dataset, task.data_loaded = DatasetDict({"test": Dataset.from_dict(rows)}), True
    model = library.SentenceTransformer(str(tmp_path / "out"), device="cpu")
    found = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results[0].scores["test"][0]
    ours = sts_spearman(encoder.encode, ScoredPairs("local", tuple(first), tuple(second), tuple(scores)))
    assert 100 * found["cosine_spearman"] == pytest.approx(ours, abs=1e-3)
