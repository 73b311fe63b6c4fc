"""Train a SemPA adapter; without arguments, `python train.py` trains on sample triplets."""

import argparse
import logging
import signal
import sys
import time
import warnings
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from sempa.config import DEFAULT_BASE, RECIPES, TrainConfig, settings_of
from sempa.errors import InputError, SempaError
from sempa.models.named import BASE_HELP

if TYPE_CHECKING:
    from tqdm import tqdm

    from sempa.training.inputs import TrainRequest
    from sempa.training.loop import TrainStep
    from sempa.training.run import Outcome

RUNS = Path("runs")
"""Folder of runs without --output."""
SETTINGS = settings_of(TrainConfig)
"""Flags that each set one field of TrainConfig, with their help."""
SHOWN = {
    "loss": "loss",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "chosen/loss": "chosen",
    "contrastive/accuracies": "nearest",
    "kl/divergence": "divergence",
}
"""Metrics shown while training, each with its label."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; importing it needs no torch."""
    made = argparse.ArgumentParser(
        usage="%(prog)s [--data DATA] [--output FOLDER] [settings]",
        description="Train a SemPA adapter for a causal language model. Without arguments, it trains on sample "
        "triplets in a few minutes. The defaults below are those of --recipe small, which --data uses.",
    )
    data = made.add_argument_group("data")
    data.add_argument(
        "--data",
        help="triplets: a CSV, TSV or JSONL file with the columns sent0, sent1, hard_neg (or anchor, positive, "
        "negative), or a hub data set: owner/name[:subset or file.csv]",
    )
    data.add_argument("--neutrals", type=Path, help="table with the columns premise, neutral, for --objective listwise")
    data.add_argument(
        "--dev",
        nargs="+",
        action="extend",
        default=[],
        help="scored pairs that choose the checkpoint: a table with the columns score, sentence1, sentence2, or a hub "
        "data set such as mteb/stsbenchmark-sts; scores of several are averaged (default: held-out triplets)",
    )
    run = made.add_argument_group("run")
    run.add_argument("--base", default=DEFAULT_BASE, help=BASE_HELP)
    run.add_argument(
        "--adapter", help="adapter to continue training: folder, shipped adapter or hub id (default: a fresh one)"
    )
    run.add_argument("--output", type=Path, help="where to write the adapter (default: runs/sempa-DATE-TIME)")
    run.add_argument(
        "--resume", action="store_true", help="continue the interrupted run in --output (default: the last one)"
    )
    run.add_argument("--keep-checkpoints", action="store_true", help="keep every scored adapter, in OUTPUT/scored")
    run.add_argument("--precision", default="auto", help="auto, bfloat16, float32 or nf4 (default: by processor)")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    run.add_argument("--license", help="licence for the adapter's card")
    run.add_argument("--attribution", help="attribution of the training data, for the adapter's card")
    run.add_argument(
        "--export",
        action="store_true",
        help="write preference pairs in TRL's format to --output instead of training",
    )
    settings = made.add_argument_group("settings")
    settings.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="settings to start from: small (default with --data), contrastive (best embeddings; one pass over the "
        "data) or paper; the flags below override it",
    )
    small = asdict(RECIPES["small"])
    for name, text in SETTINGS.items():
        flag, default = f"--{name.replace('_', '-')}", "" if small[name] is None else f" (default: {small[name]})"
        if isinstance(small[name], bool):
            settings.add_argument(flag, action=argparse.BooleanOptionalAction, help=text + default)
        else:
            settings.add_argument(flag, type=int if small[name] is None else type(small[name]), help=text + default)
    return made


def main(argv: list[str] | None = None) -> int:
    """Run a training from the command line; return the exit status."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    warnings.simplefilter("ignore", FutureWarning)  # libraries' warnings to each other, on which no user can act
    try:
        request = _request(args)
        if args.export:
            from sempa.training.exports import export

            _say(f"Preference pairs written to {export(request, _say)}.")
            return 0
        from tqdm import tqdm

        from sempa.training.run import TrainRun

        run = TrainRun(request, _say)
        first = run.processes.first
        with tqdm(unit="triplet", disable=None if first else True, dynamic_ncols=True) as bar:
            for step in run.steps():
                if first:
                    _show(step, run.config.batch_size, bar)
        if first:
            _report(run.finish(), args)
    except SempaError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nStopped. {_how_to_continue(args.output)}", file=sys.stderr)
        return 130
    return 0


def _request(args: argparse.Namespace) -> "TrainRequest":
    """Return the run requested by the arguments; reject bad values before torch is imported."""
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    replace(TrainConfig(), **given)
    from sempa.training.inputs import TrainRequest
    from sempa.training.run import SAMPLE_SETTINGS

    start = RECIPES[args.recipe or "small"] if args.recipe or args.data else SAMPLE_SETTINGS
    if "max_samples" in given:  # a schedule set by the user is trained to its end
        start = replace(start, stop_after=None)
    config = replace(start, **given)
    if config.stop_after and config.max_samples and config.stop_after > config.max_samples:
        raise InputError(
            f"--stop-after is {config.stop_after}, but the schedule ends at {config.max_samples}: raise --max-samples."
        )
    args.output = args.output or (_interrupted() if args.resume else RUNS / time.strftime("sempa-%Y%m%d-%H%M%S"))
    shared = {field.name: getattr(args, field.name) for field in fields(TrainRequest) if hasattr(args, field.name)}
    return TrainRequest(**{**shared, "config": config, "dev": tuple(args.dev), "given": frozenset(given)})


def _show(step: "TrainStep", batch_size: int, bar: "tqdm[NoReturn]") -> None:
    """Update the progress bar; print scored steps, or every step without a terminal."""
    bar.total = step.steps * batch_size
    bar.update(step.samples - bar.n)
    figures = "  ".join(f"{word} {step.metrics[name]:.3f}" for name, word in SHOWN.items() if name in step.metrics)
    bar.set_postfix_str(figures)
    if bar.disable or step.score is not None:
        rate = f"  {batch_size / step.seconds:.1f} triplets/s" if step.score is None else ""
        score = f"  score {step.score:.2f}{' (best)' * step.is_best}" if step.score is not None else ""
        line = f"step {step.step + 1}/{step.steps}  {step.samples} triplets  {figures}{rate}{score}"
        bar.write(line, file=sys.stdout)
        sys.stdout.flush()


def _report(outcome: "Outcome", args: argparse.Namespace) -> None:
    _say(f"{outcome.score_name[0].upper()}{outcome.score_name[1:]}:")
    _say(f"  before {outcome.before:.2f}   after {outcome.after:.2f}")
    if outcome.after <= outcome.before:
        _say("  No checkpoint scored above the base model: try more triplets or another --lr.")
    base = "" if args.base == DEFAULT_BASE else f" --base {args.base}"
    _say(f"The adapter is in {outcome.folder}. Open it in the app:\n  python app.py{base} --adapter {outcome.folder}")


def _say(line: str) -> None:
    print(line, flush=True)


def _how_to_continue(output: Path | None) -> str:
    if output and output.is_dir():
        return f"The adapter is complete: {output}."
    if output and output.with_name(output.name + ".partial").is_dir():
        return f"Add --resume --output {output} to continue."
    return "Training had not begun."


def _interrupted() -> Path:
    """Return the output of the last interrupted run that was started without --output."""
    left = sorted(RUNS.glob("sempa-*.partial"))
    if not left:
        raise InputError(f"There is no interrupted run in {RUNS}: name one with --output, or start without --resume.")
    return left[-1].with_suffix("")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a terminated run also prints how to resume
    raise SystemExit(main())
