"""train.py as users run it: immediate help, a complete folder at the end, one-line errors."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import train
from sempa import cli
from sempa.config import DEFAULT_BASE, RECIPES, Recipe, TrainConfig
from sempa.files import sha256_of
from sempa.models.adapters import SHIPPED_ADAPTERS
from sempa.models.named import NAMED
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_ids
from sempa.templates import SentenceTemplate
from sempa.training.card import write_facts
from sempa.training.exports import _without_bos

ROOT = Path(__file__).parents[1]
FILES = {
    "SHA256SUMS",
    "adapter_config.json",
    "adapter_model.safetensors",
    "sempa.json",
    "metrics.jsonl",
    "training.json",
    "README.md",
}
DEV = "score\tsentence1\tsentence2\n" + "".join(f'{i}\tA "quoted" cat {"s" * i}at.\tA cat sat.\n' for i in range(5))


def _small(folder: Path, model_folder: Path) -> list[str]:
    triplets = "".join(f'a{i},"b, {i}",c{i}\n' for i in range(20))
    (folder / "triplets.csv").write_text("sent0,sent1,hard_neg\n" + triplets, encoding="utf-8")
    (folder / "dev.tsv").write_text(DEV, encoding="utf-8")
    arguments = {"data": folder / "triplets.csv", "base": model_folder, "output": folder / "run"}
    options = ["--batch-size", "4", "--max-samples", "8", "--precision", "float32", "--device", "cpu"]
    return [*(part for name, value in arguments.items() for part in (f"--{name}", str(value))), *options]


@pytest.fixture
def small(model_folder: Path, tmp_path: Path) -> list[str]:
    """Return arguments of a run of two steps on a tiny model."""
    return _small(tmp_path, model_folder)


@pytest.fixture(scope="session")
def finished(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder of such a run (read-only) and its output."""
    folder = tmp_path_factory.mktemp("finished")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert train.main([*_small(folder, model_folder), "--license", "cc0-1.0", "--attribution", "By nobody."]) == 0
    return folder / "run", printed.getvalue()


def _refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run train.py on arguments it must refuse and return its one line."""
    assert train.main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    said = [line for line in lines if line.startswith("train.py: ")]
    assert len(said) == 1
    assert lines[-1] == said[0]
    return said[0]


def test_help_is_there_at_once() -> None:
    """The best of three, because another process may use the cores."""
    durations = []
    for _ in range(3):
        started = time.monotonic()
        done = subprocess.run([sys.executable, "train.py", "--help"], cwd=ROOT, capture_output=True, text=True)
        durations.append(time.monotonic() - started)
        assert done.returncode == 0
        assert "--max-samples" in done.stdout
    assert min(durations) < 0.5


@pytest.mark.parametrize("arguments", [["--help"], ["--lr", "0"], ["--template", "P9"]])
def test_help_and_bad_settings_need_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys, train\n"
        "try: status = train.main(sys.argv[1:])\n"
        "except SystemExit as end: status = end.code\n"
        "print(status, sorted({'torch', 'transformers', 'numpy', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == ("0 []" if arguments == ["--help"] else "2 []")


def test_a_run_writes_a_whole_folder_that_opens(finished: tuple[Path, str], model_folder: Path) -> None:
    folder, told = finished
    assert {path.name for path in folder.iterdir()} == FILES
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["samples"] for line in lines] == [4, 8]
    assert lines[0]["preference/loss"] == pytest.approx(0.693147, abs=1e-5)
    recipe = Recipe.load(folder)
    assert recipe.encoder.adapter == sha256_of(folder / "adapter_model.safetensors")
    assert recipe.encoder.base_model == str(model_folder)
    assert recipe.training is not None
    assert (recipe.training.batch_size, recipe.training.max_samples) == (4, 8)
    assert recipe.training.stop_after is None  # the recipe stops early only on its own schedule
    pair = ModelPair.open(str(model_folder), str(folder), precision="float32", device="cpu")
    assert pair.adapter is not None
    assert pair.adapter.recipe == recipe
    ids = torch.arange(60, 80).unsqueeze(0)
    states = [pair.hidden_states(variant, ids, torch.ones_like(ids)) for variant in ("base", "sempa")]
    assert (states[0] - states[1]).abs().max() > 0
    assert f"python app.py --base {model_folder} --adapter {folder}" in told


def test_facts_and_card_say_what_happened(finished: tuple[Path, str], tmp_path: Path) -> None:
    run, _ = finished
    facts = json.loads((run / "training.json").read_text(encoding="utf-8"))
    assert facts["samples"] == 8
    assert [point["samples"] for point in facts["scores"]] == [0, 4, 8]
    assert facts["data"]["sha256"] == sha256_of(run.parent / "triplets.csv")
    assert facts["data"]["summary"] == "20 triplets; 2 held out"
    assert facts["precision"].startswith("float32 on cpu")
    card = (run / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: peft\n"), "the hub takes no path as base_model"
    write_facts(tmp_path, {**facts, "base_model": DEFAULT_BASE}, TrainConfig())
    published = f"---\nbase_model: {NAMED[DEFAULT_BASE].published}\n"
    assert (tmp_path / "README.md").read_text(encoding="utf-8").startswith(published)
    gemma = {**facts, "base_model": "gemma3-270m", "license": None}
    write_facts(tmp_path, gemma, TrainConfig())
    terms = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert terms.startswith("---\nbase_model: google/gemma-3-270m\n")
    assert "\nlicense: gemma\n---" in terms
    assert "Gemma Terms of Use found at https://ai.google.dev/gemma/terms" in terms
    for part in ("license: cc0-1.0", "By nobody.", f"`{facts['data']['sha256']}`", "library_name: peft"):
        assert part in card
    for point in facts["scores"]:
        assert f"| {point['samples']} | {point['score']:.2f} |" in card


def test_balance_negation_is_said_wherever_a_run_is_told_of(small: list[str], tmp_path: Path) -> None:
    """Two contradictions negate and no entailment does: with the setting both triplets are left out."""
    rows = (tmp_path / "triplets.csv").read_text(encoding="utf-8") + "d,e,never f\ng,h,not i\n"
    (tmp_path / "triplets.csv").write_text(rows, encoding="utf-8")
    for flag, left in (("--balance-negation", 20), ("--no-balance-negation", 22)):
        arguments = [*small, flag, "--output", str(tmp_path / flag)]
        assert train.main(arguments) == 0
        facts = json.loads((tmp_path / flag / "training.json").read_text(encoding="utf-8"))
        config = Recipe.load(tmp_path / flag).training
        assert config
        assert config.balance_negation is (left == 20)
        assert facts["data"]["summary"].startswith(f"{left} triplets")
        card = (tmp_path / flag / "README.md").read_text(encoding="utf-8")
        assert ("negation balanced between entailments and contradictions" in card) is config.balance_negation
        assert facts["data"]["summary"] in card


def test_a_weaker_copy_is_as_whole_and_says_what_it_is(
    finished: tuple[Path, str], model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, weaker, weakest = finished[0], tmp_path / "weaker", tmp_path / "weakest"
    assert cli.main(["scale", "0.5", str(weaker), "--adapter", str(run)]) == 0
    assert "at scale 0.5" in capsys.readouterr().out
    assert {path.name for path in weaker.iterdir()} == FILES
    pair = ModelPair.open(str(model_folder), str(weaker), precision="float32", device="cpu")
    assert pair.adapter
    assert pair.adapter.recipe
    assert pair.adapter.scale == 0.5
    assert pair.adapter.recipe.encoder.adapter == pair.adapter.sha256 != sha256_of(run / "adapter_model.safetensors")
    assert "The adapter was then scaled to 0.5;" in (weaker / "README.md").read_text(encoding="utf-8")
    assert "then scaled" not in (run / "README.md").read_text(encoding="utf-8")
    assert cli.main(["scale", "0.5", str(weakest), "--adapter", str(weaker)]) == 0
    assert json.loads((weakest / "training.json").read_text(encoding="utf-8"))["scale"] == 0.25
    assert cli.main(["scale", "0.5", str(weaker), "--adapter", str(run)]) == 2
    assert cli.main(["scale", "9", str(tmp_path / "strong"), "--adapter", str(run)]) == 2
    assert not (tmp_path / "strong").exists()


def test_the_mean_of_runs_tells_of_each(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [tmp_path / f"run-{seed}" for seed in (1, 2)]
    for seed, run in enumerate(runs, 1):
        assert train.main([*small, "--seed", str(seed), "--output", str(run)]) == 0
    given = [part for run in runs for part in ("--adapter", str(run))]
    mean, weaker = tmp_path / "mean", tmp_path / "weaker"
    assert cli.main(["average", str(mean), *given, "--rank", "4"]) == 0
    assert "the average of 2 adapters" in capsys.readouterr().out
    assert cli.main(["scale", "0.5", str(weaker), "--adapter", str(mean)]) == 0
    logs = {"metrics-1.jsonl", "metrics-2.jsonl"}
    assert {path.name for path in weaker.iterdir()} == FILES - {"metrics.jsonl"} | logs
    for number, run in enumerate(runs, 1):
        assert (weaker / f"metrics-{number}.jsonl").read_bytes() == (run / "metrics.jsonl").read_bytes()
    facts = json.loads((weaker / "training.json").read_text(encoding="utf-8"))
    assert [part["seed"] for part in facts["averaged_from"]] == [1, 2]
    assert [part["sha256"] for part in facts["averaged_from"]] == [
        sha256_of(run / "adapter_model.safetensors") for run in runs
    ]
    card = (weaker / "README.md").read_text(encoding="utf-8")
    told = ("rank 4, alpha 4", "of 2 such runs", f"keeps {facts['energy_kept']:.1%}", "scaled to 0.5")
    for part in facts["averaged_from"]:
        told += (f"| {part['seed']} | {part['best']['samples']} | {part['best']['score']:.2f} |",)
    for part in told:
        assert part in card
    assert Recipe.load(weaker).encoder.adapter == sha256_of(weaker / "adapter_model.safetensors")
    again = tmp_path / "again"
    assert cli.main(["average", str(again), "--adapter", str(weaker), "--adapter", str(runs[0])]) == 0
    assert "then scaled" not in (again / "README.md").read_text(encoding="utf-8")
    parts = json.loads((again / "training.json").read_text(encoding="utf-8"))["averaged_from"]
    assert [part.get("scale") for part in parts] == [0.5, None]


def test_training_continues_from_an_adapter(
    finished: tuple[Path, str], small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run at a negligible learning rate gives back the weights it started from, not a fresh adapter's."""
    start = finished[0]
    where = ["--adapter", str(start)]
    refused = _refusal([*small, *where, "--lora-r", "3"], capsys)
    assert refused == f"train.py: {start} has lora_r 32: leave out the flag or train afresh."
    assert train.main([*small, *where, "--lr", "1e-30"]) == 0
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (start, tmp_path / "run"))
    assert before.keys() == after.keys()
    for name, weight in before.items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=0)
    facts = json.loads((tmp_path / "run/training.json").read_text(encoding="utf-8"))
    assert facts["started_from"] == {"name": "run", "sha256": sha256_of(start / "adapter_model.safetensors")}
    assert "Training continued from `run` (SHA-256" in (tmp_path / "run/README.md").read_text(encoding="utf-8")


def test_without_data_the_sample_trains(model_folder: Path, tmp_path: Path) -> None:
    arguments = ["--base", str(model_folder), "--output", str(tmp_path / "run"), "--max-samples", "16"]
    assert train.main([*arguments, "--precision", "float32", "--device", "cpu"]) == 0
    facts = json.loads((tmp_path / "run" / "training.json").read_text(encoding="utf-8"))
    assert facts["data"]["name"] == "sample triplets"
    assert "held-out triplets" in facts["score_name"]


def test_a_base_without_a_chat_format_is_trained_on_what_the_app_sends_it(
    small: list[str], model_folder: Path, make_tokenizer: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model_folder, base)
    (base / "chat_template.jinja").unlink()
    make_tokenizer().save_pretrained(base)
    assert train.main([*small, "--base", str(base)]) == 0
    assert f"{base} has no chat format: prompts are plain text with a line break" in capsys.readouterr().out
    settings = Recipe.load(tmp_path / "run").training
    assert settings is not None
    assert settings.prompt_format == "plain"
    pair = ModelPair.open(str(base), precision="float32", device="cpu")
    trained = SentenceTemplate.paraphrase(settings.template).render("A cat.")
    sent = SentenceTemplate.paraphrase("P1").render("A cat.")
    assert request_ids(pair.tokenizer, trained, chat=False) == request_ids(pair.tokenizer, sent)


def test_a_dev_file_decides_when_given(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*small, "--dev", str(tmp_path / "dev.tsv")]) == 0
    facts = json.loads((tmp_path / "run" / "training.json").read_text(encoding="utf-8"))
    assert facts["score_name"].startswith("Spearman x100 on ")
    assert "(5 pairs)" in facts["score_name"]
    assert facts["dev"] == ["dev.tsv"]
    assert facts["data"]["summary"] == "20 triplets"
    assert "Spearman x100" in capsys.readouterr().out


def test_several_dev_files_count_together_however_they_are_given(small: list[str], tmp_path: Path) -> None:
    one, other = str(tmp_path / "dev.tsv"), str(tmp_path / "other.tsv")
    Path(other).write_text(DEV, encoding="utf-8")
    for flags in (["--dev", one, other], ["--dev", one, "--dev", other]):
        assert train.parser().parse_args(flags).dev == [one, other]
    assert train.main([*small, "--dev", one, other]) == 0
    facts = json.loads((tmp_path / "run" / "training.json").read_text(encoding="utf-8"))
    assert facts["dev"] == ["dev.tsv", "other.tsv"]
    assert facts["score_name"].startswith("mean Spearman x100 on ")


def test_export_writes_what_would_be_trained_on(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main([*small, "--export", "--tokenised-share", "0"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "preferences.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 18, "what a run holds out to score by is not trained on elsewhere either"
    for row in rows:
        number = row["rejected"].removeprefix("c")
        assert row["prompt"].startswith("<|im_start|>system")
        assert f'sentence: "a{number}"' in row["prompt"]
        assert row["chosen"] == f"b, {number}"
    assert "preferences.jsonl" in capsys.readouterr().out
    scored = ["--dev", str(tmp_path / "dev.tsv"), "--max-length", "1", "--output", str(tmp_path / "other")]
    assert train.main([*small, *scored, "--export", "--tokenised-share", "0"]) == 0
    assert "Left out 20 triplets longer than 1 tokens" in capsys.readouterr().out


@pytest.mark.parametrize("bos", [True, False])
def test_an_exported_prompt_has_one_beginning(make_tokenizer: Any, bos: bool) -> None:
    """TRL tokenises the prompt as plain text; if that adds <s>, the chat format's own <s> is dropped."""
    tokenizer = make_tokenizer(bos=bos, chat=True)
    tokenizer.chat_template = "<s>" + tokenizer.chat_template
    assert tokenizer(_without_bos(tokenizer, "Say it.")).input_ids == request_ids(tokenizer, "Say it.")


def test_the_paper_s_recipe_is_one_word(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main([*small, "--recipe", "paper"]) == 0
    recipe = Recipe.load(tmp_path / "run").training
    assert recipe is not None
    assert (recipe.lr, recipe.weight_decay, recipe.adam_beta2, recipe.lora_dropout) == (1e-4, 0.1, 0.95, 0.05)
    assert recipe.batch_size == 4  # given, so it stands
    assert "Settings: " in capsys.readouterr().out


def test_the_best_embedder_s_recipe_is_one_word(small: list[str], tmp_path: Path) -> None:
    few = small[: small.index("--batch-size")]
    assert train.main([*few, "--batch-size", "8", "--precision", "float32", "--recipe", "contrastive"]) == 0
    recipe = Recipe.load(tmp_path / "run").training
    assert recipe is not None
    assert (recipe.objective, recipe.batch_size, recipe.kl_weight) == ("contrastive", 8, 4.0)
    assert recipe.stop_after is None, "it takes all triplets once"
    assert len((tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()) >= 2


def test_a_small_file_is_passed_over_three_times_unless_a_number_is_given(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe's 3,072 pairs would be 170 passes over these 18 triplets."""
    at = small.index("--max-samples")
    defaults = [*small[:at], *small[at + 2 :], "--batch-size", "8"]
    assert train.main(defaults) == 0
    said = capsys.readouterr().out
    assert "Training on 54 triplets, 3 passes over the 18: the recipe's 3,072 would be 171 passes." in said
    assert "--max-samples sets another number" in said
    recipe = Recipe.load(tmp_path / "run").training
    assert recipe is not None
    assert (recipe.max_samples, recipe.stop_after) == (54, None)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    assert steps[-1]["samples"] == 54
    assert [step["samples"] for step in steps if "score" in step] == [16, 24, 40, 48, 54], "not only at the end"
    explicit = [*defaults, "--output", str(tmp_path / "explicit"), "--max-samples", "64"]
    assert train.main(explicit) == 0
    assert "passes over" not in capsys.readouterr().out
    recipe = Recipe.load(tmp_path / "explicit").training
    assert recipe is not None
    assert recipe.max_samples == 64


@pytest.mark.parametrize(("name", "folder"), [("small", "sempa-dpo"), ("contrastive", "sempa-contrastive")])
def test_the_recipes_are_those_of_the_shipped_adapters(name: str, folder: str) -> None:
    shipped = Recipe.load(SHIPPED_ADAPTERS / folder).training
    assert shipped is not None
    of_the_run = ("max_samples", "stop_after", "evaluate_every", "token_cap", "seed")
    assert replace(shipped, **{field: getattr(RECIPES[name], field) for field in of_the_run}) == RECIPES[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--data", "{tmp}/nowhere.csv"], "The file {tmp}/nowhere.csv does not exist"),
        (["--data", "{tmp}/dev.tsv"], "has the columns"),
        (["--dev", "{tmp}/nowhere.tsv"], "The file {tmp}/nowhere.tsv does not exist"),
        (["--dev", "{tmp}/triplets.csv"], "lacks the columns score, sentence1, sentence2"),
        (["--base", "{tmp}/nowhere"], "The folder {tmp}/nowhere does not exist"),
        (["--data", "no such thing"], "no such thing is neither a local file nor a hub data set"),
        (["--precision", "float16"], "Training in float16 gives NaN"),
        (["--precision", "fp32"], "Precision 'fp32' is unknown"),
        (["--stop-after", "9"], "--stop-after is 9, but the schedule ends at 8: raise --max-samples"),
        (["--neutrals", "{tmp}/dev.tsv"], "Only --objective listwise uses neutral sentences"),
        (["--max-length", "3"], "Every triplet is longer than 3 tokens: raise --max-length."),
        (["--resume"], "There is no run to resume"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: list[str], message: str
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    said = _refusal([*small, *(part.format(tmp=tmp_path) for part in change)], capsys)
    assert message.format(tmp=tmp_path) in said
    assert {path.name for path in tmp_path.iterdir()} == before


def test_an_existing_output_is_refused(small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    assert "run exists already" in _refusal(small, capsys)


def test_a_dev_row_that_cannot_be_read_leaves_no_run_behind(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dev.tsv").write_text(DEV + "3\t\tA cat.\n", encoding="utf-8")
    assert "is empty" in _refusal([*small, "--dev", str(tmp_path / "dev.tsv")], capsys)
    assert not (tmp_path / "run.partial").exists()


def test_a_run_stopped_before_it_began_has_nothing_to_go_on_with(
    small: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sempa.training.run_folder.RunFolder.begin", stop)
    assert train.main(small) == 130
    assert "Stopped. Training had not begun." in capsys.readouterr().err


def test_settings_without_effect_are_named(small: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    unheard = ["--beta", "0.5", "--template", "P3", "--tau", "0.1", "--kl-text-share", "0.5"]
    assert train.main([*small, *unheard, "--objective", "contrastive", "--kl-weight", "0"]) == 0
    said = capsys.readouterr().out
    assert (
        "These flags have no effect with --objective contrastive and the other settings: "
        "--beta, --kl-text-share, --template." in said
    )


def test_what_is_trained_to_be_read_otherwise_is_chosen_and_read_so(small: list[str], tmp_path: Path) -> None:
    dev = ["--dev", str(tmp_path / "dev.tsv")]
    assert train.main([*small, *dev, "--objective", "contrastive", "--embedding-template", "knowledge"]) == 0
    assert Recipe.load(tmp_path / "run").encoder.template == "knowledge"
    assert ", knowledge, last layer" in json.loads((tmp_path / "run" / "training.json").read_text())["score_name"]


def test_resuming_in_smaller_forwards_is_the_same_run(
    small: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error message advises this if GPU memory runs out."""

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("sempa.training.run_folder.RunFolder.append", full)
        assert "continue with --resume --output " in _refusal(small, capsys)
    assert train.main([*small, "--resume", "--token-cap", "64"]) == 0


def test_resuming_without_an_output_goes_on_with_the_last_run_that_broke_off(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = small.index("--output")
    small = small[:place] + small[place + 2 :]
    monkeypatch.chdir(tmp_path)
    assert "There is no interrupted run in runs" in _refusal([*small, "--resume"], capsys)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sempa.training.run_folder.RunFolder.append", stop)
        assert train.main(small) == 130
    (broken_off,) = (tmp_path / "runs").iterdir()
    assert train.main([*small, "--resume"]) == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [broken_off.name.removesuffix(".partial")]


def test_resuming_on_other_weights_of_the_same_name_is_refused(
    small: list[str], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    base = tmp_path / "base"
    shutil.copytree(model_folder, base)
    small[small.index("--base") + 1] = str(base)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sempa.training.run_folder.RunFolder.append", stop)
        assert train.main(small) == 130
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    assert "base_revision: " in _refusal([*small, "--resume"], capsys)


def test_neutral_sentences_are_counted(small: list[str], tmp_path: Path) -> None:
    """One row is truncated; an anchor without a neutral sentence is not used, and the card says so."""
    rows = "".join(f"a{i},n{i}\n" for i in range(15))
    (tmp_path / "neutrals.csv").write_text(f"premise,neutral\na19\n{rows}", encoding="utf-8")
    arguments = ["--objective", "listwise", "--neutrals", str(tmp_path / "neutrals.csv")]
    assert train.main([*small, *arguments, "--dev", str(tmp_path / "dev.tsv")]) == 0
    facts = json.loads((tmp_path / "run" / "training.json").read_text(encoding="utf-8"))
    assert facts["data"]["summary"] == "15 triplets; skipped 5 rows: 5 without a neutral sentence"


def test_resuming_with_other_settings_names_the_field(
    small: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sempa.training.run_folder.RunFolder.append", stop)
        assert train.main(small) == 130
    assert f"Add --resume --output {tmp_path / 'run'} to continue." in capsys.readouterr().err
    for change, named in (
        (["--lr", "0.5"], "config.lr: 0.001 then, 0.5 now"),
        (["--precision", "bfloat16"], "precision: 'torch.float32' then, 'torch.bfloat16' now"),
        (["--dev", str(tmp_path / "dev.tsv")], "dev.tsv: None then"),
    ):
        assert named in _refusal([*small, "--resume", *change], capsys)
    assert train.main([*small, "--resume"]) == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
