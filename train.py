"""Train a SemPA adapter: `python train.py` works as it is; `python train.py --help` lists what can be set."""

import argparse
import logging
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

from sempa.config import DEFAULT_BASE, RECIPES, TrainConfig
from sempa.errors import InputError, SempaError

RUNS = Path("runs")
"""Where runs go that are given no --output."""

# Flags that set one field of TrainConfig; None means the default of the data trained on.
SETTINGS = {
    "max_samples": "number of pairs the learning-rate schedule is made for",
    "stop_after": "stop after this many pairs, on the same schedule",
    "batch_size": "pairs in one optimiser step",
    "lr": "peak learning rate",
    "objective": "dpo, listwise, contrastive, joint or spod",
    "beta": "strength of the pull towards the base model in DPO",
    "tau": "temperature of the contrastive cosines",
    "contrastive_weight": "weight of the contrastive loss beside the preference loss in joint",
    "code_weight": "weight of the loss of sparse codes beside the preference loss in spod",
    "rpo_alpha": "weight of the preferred answer's own likelihood beside the preference (TRL's rpo_alpha)",
    "kl_weight": "weight of staying near the base model on the anchors as running text; 0 leaves it out",
    "kl_text_share": "share of the text itself in what kl_weight holds the model to",
    "template": "paraphrase template: P1 to P5, or a text with {sentence}",
    "prompt_format": "chat (the model's own, where it has one) or plain (the template's text alone)",
    "embedding_template": "template that sentences are read with in contrastive, joint and spod training",
    "tokenised_share": "share of the sentences shown lower-cased and tokenised, as SentEval writes its sets",
    "balance_negation": "leave out triplets until either answer negates as often without the other (English)",
    "evaluate_every": "score a checkpoint every so many pairs",
    "warmup_ratio": "share of the steps that warm up",
    "weight_decay": "AdamW weight decay",
    "lora_r": "rank of the adapter",
    "lora_alpha": "scale of the adapter",
    "lora_dropout": "dropout before the adapter",
    "max_length": "longest prompt and response, in tokens; longer pairs are left out",
    "token_cap": "tokens of one forward; lower it if memory is short (default: by device)",
    "seed": "seed of data order and adapter",
}
SHOWN = {
    "loss": "loss",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "chosen/loss": "chosen",
    "contrastive/accuracies": "nearest",
    "coding/explained_variance": "explained",
    "kl/divergence": "divergence",
}
"""Metrics shown while training, with a word for each."""


def parser() -> argparse.ArgumentParser:
    """Return the parser; importing it needs no torch."""
    made = argparse.ArgumentParser(
        description="Train a SemPA adapter for a causal language model. Defaults shown are those of --recipe small, by "
        "which --data is trained; the few minutes on sample triplets without it have settings of their own, printed.",
    )
    made.add_argument(
        "--data",
        help="triplets: a CSV (sent0,sent1,hard_neg) or JSONL file, or a hub data set as owner/name[:subset or "
        "file.csv]; without it, sample triplets that ship with the project",
    )
    made.add_argument(
        "--neutrals", type=Path, help="CSV (premise,neutral) of neutral sentences, for --objective listwise"
    )
    made.add_argument("--output", type=Path, help="folder of the adapter (default: runs/sempa-DATE-TIME)")
    made.add_argument("--base", default=DEFAULT_BASE, help="hub id, folder or GGUF file (default: %(default)s)")
    made.add_argument(
        "--dev",
        nargs="+",
        action="extend",
        default=[],
        help="STS pairs to choose the checkpoint on: TSV or CSV (score,sentence1,sentence2) or a hub data set, e.g. "
        "mteb/stsbenchmark-sts; several give their mean; without it, held-out triplets decide",
    )
    made.add_argument("--resume", action="store_true", help="continue the run that was broken off at --output")
    made.add_argument("--keep-checkpoints", action="store_true", help="keep every scored adapter, in --output/scored")
    made.add_argument("--precision", default="auto", help="auto, bfloat16, float32 or nf4 (default: by processor)")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    made.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="settings to start from: small (the default with --data), contrastive (embeds best; one pass over all "
        "triplets) or paper; single settings override it",
    )
    made.add_argument("--push-to-hub", metavar="OWNER/NAME", help="upload the finished adapter to this hub repository")
    made.add_argument(
        "--export",
        choices=("trl", "swift", "llama-factory"),
        help="train nothing: write the preferences for TRL, ms-swift or LLaMA-Factory into --output",
    )
    made.add_argument("--license", help="licence to state on the adapter's card")
    made.add_argument("--attribution", help="attribution of the data to state on the adapter's card")
    small = asdict(RECIPES["small"])
    for name, text in SETTINGS.items():
        flag, default = f"--{name.replace('_', '-')}", "" if small[name] is None else f" (default: {small[name]})"
        if isinstance(small[name], bool):
            made.add_argument(flag, action=argparse.BooleanOptionalAction, help=text + default)
        else:
            made.add_argument(flag, type=int if small[name] is None else type(small[name]), help=text + default)
    return made


def main(argv: list[str] | None = None) -> int:
    """Run a training from the command line; return the exit status."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        _run(args)
    except SempaError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = " Nothing had begun."
        if args.output and args.output.is_dir():
            goes_on = f" The adapter is whole: it is in {args.output}."
        elif args.output and args.output.with_name(args.output.name + ".partial").is_dir():
            goes_on = f" Add --resume --output {args.output} to continue."
        print(f"\nStopped.{goes_on}", file=sys.stderr)
        return 130
    return 0


def _run(args: argparse.Namespace) -> None:
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    replace(TrainConfig(), **given)  # a bad value is refused before torch is imported
    from tqdm import tqdm

    from sempa.models.publish import push_to_hub, require_repository
    from sempa.training.run import SAMPLE_SETTINGS, TrainRequest, TrainRun, export

    start = SAMPLE_SETTINGS if args.data is None else RECIPES["small"]
    start = RECIPES[args.recipe] if args.recipe else start
    if "max_samples" in given:  # who sets the schedule's length wants it trained through
        start = replace(start, stop_after=None)
    config = replace(start, **given)
    if config.stop_after and config.max_samples and config.stop_after > config.max_samples:
        raise InputError(
            f"--stop-after is {config.stop_after}, but the schedule ends at {config.max_samples}: raise --max-samples."
        )
    if args.push_to_hub:
        require_repository(args.push_to_hub)
    args.output = args.output or (_broken_off() if args.resume else RUNS / time.strftime("sempa-%Y%m%d-%H%M%S"))
    request = TrainRequest(
        output=args.output,
        config=config,
        data=args.data,
        neutrals=args.neutrals,
        dev=tuple(args.dev),
        base=args.base,
        precision=args.precision,
        device=args.device,
        license=args.license,
        attribution=args.attribution,
        resume=args.resume,
        keep_checkpoints=args.keep_checkpoints,
    )
    if args.export:
        print(f"The preferences are in {export(request, args.export, report=lambda line: print(line, flush=True))}.")
        return
    run = TrainRun(request, report=lambda line: print(line, flush=True))
    if not run.processes.first:
        for _ in run.steps():
            pass
        return
    print("Settings: " + ", ".join(f"{name} {value}" for name, value in asdict(config).items()), flush=True)
    if idle := sorted(given.keys() & config.idle):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        print(f"Without effect on the objective {config.objective} as it is set: {flags}.", flush=True)
    with tqdm(unit="pair", unit_scale=False, disable=None, dynamic_ncols=True) as bar:
        for step in run.steps():
            bar.total = bar.total or step.steps * config.batch_size
            bar.update(step.samples - bar.n)
            figures = step.metrics
            shown = "  ".join(f"{word} {figures[name]:.3f}" for name, word in SHOWN.items() if name in figures)
            bar.set_postfix_str(shown)
            if bar.disable or step.score is not None:
                rate = config.batch_size / step.seconds if step.score is None else None
                line = f"step {step.step + 1}/{step.steps}  {step.samples} pairs  {shown}"
                line += f"  {rate:.1f} pairs/s" if rate else ""
                line += f"  score {step.score:.2f}{' (best)' if step.is_best else ''}" if step.score is not None else ""
                tqdm.write(line, file=sys.stdout)
                sys.stdout.flush()
    outcome = run.finish()
    print(f"{outcome.score_name[0].upper()}{outcome.score_name[1:]}:")
    print(f"  before {outcome.before:.2f}   after {outcome.after:.2f}")
    if outcome.after <= outcome.before:
        print("  No checkpoint scored above the base model: more pairs or another --lr may help.")
    if args.push_to_hub:
        print(f"Uploaded to {push_to_hub(outcome.folder, args.push_to_hub)}.")
    base = "" if args.base == DEFAULT_BASE else f" --base {args.base}"
    print(
        f"The adapter is in {outcome.folder}. Open the app with it:\n  python app.py{base} --adapter {outcome.folder}"
    )


def _broken_off() -> Path:
    """Return the output of the last run that was given none and did not end."""
    left = sorted(RUNS.glob("sempa-*.partial"))
    if not left:
        raise InputError(f"There is no run in {RUNS} to resume: name it with --output, or start without --resume.")
    return left[-1].with_suffix("")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is told to end says how to go on, too
    raise SystemExit(main())
