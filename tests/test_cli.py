"""The command line prints what the studio computes, as JSON that parses."""

import io
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from sempa.cli import main
from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex, index_folder
from sempa.embedding.ranking import hits_payload
from sempa.embedding.settings import open_settings
from sempa.evaluation.results import is_of, read_results
from sempa.models.pair import ModelPair
from sempa.service.index_store import IndexStore
from sempa.service.studio import Studio

TEXTS = ("The hare is fast.", "None", "Größe, 漢字", "The hound is ill.", "Nobody saw the cat.")
A, B = "The hare outran the hound.", "The hound outran the hare."


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of indexes with a `demo`, used in place of the project's own."""
    folder = tmp_path / "index"
    SentenceIndex(Corpus(TEXTS, tuple({} for _ in TEXTS))).save(folder / "demo")
    monkeypatch.setattr("sempa.service.studio.IndexStore", partial(IndexStore, folder))
    for name in ("index_folder", "find_index"):
        monkeypatch.setattr(f"sempa.embedding.index.{name}", partial(index_folder, root=folder))
    return folder


@pytest.fixture
def model(model_folder: Path, adapter_folder: Path) -> list[str]:
    return ["--base", str(model_folder), "--adapter", str(adapter_folder), "--precision", "float32", "--device", "cpu"]


@pytest.fixture
def studio(model_folder: Path, adapter_folder: Path, root: Path) -> Studio:
    """Return a studio with the model as the commands open it."""
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    return Studio(Encoder(pair.for_inference()), IndexStore(root))


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("variant", [None, "base", "sempa"])
def test_embed_prints_a_row_a_sentence(
    model: list[str], studio: Studio, capsys: pytest.CaptureFixture[str], variant: str | None
) -> None:
    asked = ["--variant", variant] if variant else []
    rows = [json.loads(line) for line in _said(capsys, "embed", A, B, *asked, *model).splitlines()]
    np.testing.assert_allclose(rows, studio.embed([A, B], variant or "sempa"), atol=1e-6)


def test_embed_reads_standard_input(
    model: list[str], studio: Studio, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{A}\n{TEXTS[2]}\n"))
    rows = [json.loads(line) for line in _said(capsys, "embed", *model).splitlines()]
    np.testing.assert_allclose(rows, studio.embed([A, TEXTS[2]], "sempa"), atol=1e-6)


def test_similarity_is_the_studio_s(model: list[str], studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_said(capsys, "similarity", A, B, *model))
    assert found.pop("preference") == pytest.approx(studio.preference(A, B))
    assert found == studio.similarity(A, B)
    assert main(["similarity", A, B, *model[:2], *model[4:]]) == 0  # the base alone
    assert list(json.loads(capsys.readouterr().out)) == ["base"]


def test_search_is_the_studio_s(model: list[str], studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_said(capsys, "search", A, "-k", "3", *model))
    assert found == hits_payload(studio.search(A, k=3))


def test_index_builds_one_that_search_finds(
    model: list[str], studio: Studio, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text('id,what\n1,None\n2,"Größe, 漢字"\n3,The hare is fast.\n', encoding="utf-8")
    said = _said(capsys, "index", "mine", "--texts", str(tmp_path / "rows.csv"), "--column", "what", *model)
    assert "3 texts, embedded with base and sempa" in said
    made = SentenceIndex.load(root / "mine")
    assert made.corpus == Corpus(("None", "Größe, 漢字", "The hare is fast."), ({"id": "1"}, {"id": "2"}, {"id": "3"}))
    assert made.recipes == [studio.encoder.recipe(variant) for variant in ("base", "sempa")]
    found = json.loads(_said(capsys, "search", "None", "--index", "mine", "-k", "9", *model))
    assert found == hits_payload(studio.search("None", "mine", 9))
    assert found["sempa"][0]["text"] == "None"
    assert found["sempa"][0]["cosine"] == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("own_cache")
def test_codes_are_fitted_kept_in_an_index_and_searched(
    model_folder: Path, adapter_folder: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = tmp_path / "own"
    shutil.copytree(adapter_folder, adapter)
    model = ["--base", str(model_folder), "--adapter", str(adapter), "--precision", "float32", "--device", "cpu"]
    rows = "".join(f"A cat {i}.,Cat {i}.,No cat {i}.\n" for i in range(300))
    (tmp_path / "triplets.csv").write_text("sent0,sent1,hard_neg\n" + rows, encoding="utf-8")
    fit = ["sparse", "fit", "--data", str(tmp_path / "triplets.csv"), "--epochs", "1", "--k", "4", *model]
    said = [json.loads(line.split(maxsplit=1)[1]) for line in _said(capsys, *fit).splitlines()]
    assert [0 <= figures["entailment_nearer_codes"] <= 1 for figures in said] == [True, True]
    _said(capsys, "index", "demo", "--codes", "features", "--codes", "words", *model)
    kinds = [recipe.code and recipe.code.split("-")[0] for recipe in SentenceIndex.load(root / "demo").recipes]
    assert kinds == [None, None, "features", "features", "words", "words"]
    for kind in ("features", "words"):
        found = json.loads(_said(capsys, "search", A, "-k", "2", "--codes", kind, *model))
        for hit in found["sempa"]:
            assert sum(part["part"] for part in hit["matched"]) == pytest.approx(hit["cosine"], abs=5e-3)
    assert main(["search", A, "--codes", "features", *model[:2]]) == 2
    assert "The base alone has no sparse codes" in capsys.readouterr().err


def test_index_without_texts_adds_the_vectors_of_another_model(
    model: list[str], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base_alone = [*model[:2], *model[4:]]
    assert "embedded with base." in _said(capsys, "index", "demo", *base_alone)
    assert [recipe.adapter is None for recipe in SentenceIndex.load(root / "demo").recipes] == [True]
    _said(capsys, "index", "demo", *model)
    demo = SentenceIndex.load(root / "demo")
    assert [recipe.adapter is None for recipe in demo.recipes] == [True, False]
    assert demo.corpus.texts == TEXTS


def test_a_fitted_reading_is_kept_and_read_by(
    model: list[str], studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(f"text {i} {'word ' * (i % 5)}" for i in range(20)), encoding="utf-8")
    fit = ["fit", str(tmp_path / "own"), "--texts", str(tmp_path / "texts.txt"), "--postprocess", "centre"]
    assert "centre fitted on 10 texts of texts.txt" in _said(capsys, *fit, "--limit", "10", "--template", "cot", *model)
    printed = _said(capsys, "embed", A, B, "--settings", str(tmp_path / "own"), *model)
    encoder = open_settings(studio.pair, tmp_path / "own")
    assert encoder.config.template == "cot"
    np.testing.assert_allclose(
        [json.loads(line) for line in printed.splitlines()], encoder.encode_each([A, B])["sempa"], atol=1e-6
    )


def test_evaluate_measures_both_models_and_writes_a_result(
    model: list[str], studio: Studio, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [(TEXTS[i], TEXTS[j], (3 * i + j) / 4) for i in range(5) for j in range(5) if i != j]
    lines = ["sentence1\tsentence2\tscore", *(f"{a}\t{b}\t{score}" for a, b, score in pairs)]
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "tiny-test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "results" / "tiny.json"
    said = _said(capsys, "evaluate", "sts", "--data", str(tmp_path / "sets"), "--json", str(out), *model)
    (result,) = read_results(out.parent)
    assert is_of(result, studio.pair.info.name, studio.encoder.recipe("sempa").adapter)
    for variant in ("base", "sempa"):
        cosines = [float(np.dot(*studio.embed([a, b], variant))) for a, b, _ in pairs]
        expected = 100 * spearmanr(cosines, [score for *_, score in pairs]).statistic
        assert result["sets"]["tiny-test"][variant]["spearman"] == pytest.approx(expected, abs=0.01)
        assert f"{expected:.2f}" in said


@pytest.mark.usefixtures("own_cache")
def test_contrast_prints_each_method_and_where_one_model_errs(
    model: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{a} {n}.,{b} {n}.,{a} not {n}.,negation" for n in range(12) for a, b in ((A, B), (B, A))]
    (tmp_path / "own.csv").write_text("\n".join(["sentence,paraphrase,edit,kind", *rows]), encoding="utf-8")
    command = ["evaluate", "contrast", "--data", str(tmp_path / "own.csv"), "--split", "all", "--json"]
    said = _said(capsys, *command, str(tmp_path / "out.json"), "--errors", *model)
    methods = json.loads((tmp_path / "out.json").read_text())["methods"]
    assert [line.split()[0] for line in said.splitlines() if " errs (" not in line] == list(methods)
    errors = methods["sempa"]["errors"]
    assert errors
    assert said.count(" errs (negation): ") == len(errors)
    assert all(f"{one['sentence']} | {one['paraphrase']} | {one['edit']}" in said for one in errors)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["embed", " "], "empty"),
        (["similarity", "", "b"], "The first sentence is empty"),
        (["search", "q", "--index", "../demo"], "no index '../demo': choose one of demo"),
        (["search", "q", "-k", "0"], "k is 0"),
        (["index", "../x", "--texts", "FILE"], "'../x' is not a valid index name"),
        (["index", "mine", "--texts", "/no/such/file.csv"], "/no/such/file.csv does not exist"),
        (["index", "mine"], "mine"),
        (["fit", "/no/such/own", "--texts", __file__, "--postprocess", "bleach"], "'bleach' is unknown: choose centre"),
        (["evaluate", "sts", "--data", "/no/such/folder"], "/no/such/folder does not exist"),
        (["evaluate", "sts"], "evaluate sts needs --data"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(
    model: list[str], root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main([*arguments, *model]) == 2
    told = capsys.readouterr()
    said = [line for line in told.err.splitlines() if line.startswith("sempa: ")]
    assert len(said) == 1
    assert says in said[0]
    assert "Traceback" not in told.err
    assert told.out == ""
    assert [path.name for path in root.iterdir()] == ["demo"]


def test_converted_models_are_listed_and_cleared(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("gguf-1", "gguf-2"):
        (own_cache / name).mkdir(parents=True)
        (own_cache / name / "model.safetensors").write_bytes(bytes(3 * 2**20))
        (own_cache / name / "complete").write_text(json.dumps({"gguf": f"{name}.gguf"}), encoding="utf-8")
    listed = _said(capsys, "cache", "list").splitlines()
    assert sorted(line.split("  ")[0] for line in listed[:2]) == ["gguf-1", "gguf-2"]
    assert all("3 MiB  last used 20" in line for line in listed[:2])
    assert listed[2] == f"6 MiB in {own_cache}"
    assert main(["cache", "clear", "gguf-3"]) == 2
    assert "no entry gguf-3" in capsys.readouterr().err
    assert _said(capsys, "cache", "clear", "gguf-1") == "3 MiB freed.\n"
    assert [path.name for path in own_cache.iterdir()] == ["gguf-2"]
    assert _said(capsys, "cache", "clear") == "3 MiB freed.\n"
    assert list(own_cache.iterdir()) == []
