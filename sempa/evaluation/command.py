"""The command `sempa evaluate`."""

import argparse
import json
from pathlib import Path
from typing import Any

from sempa.embedding.command import add_command, add_encoder_options, open_encoder, report
from sempa.errors import InputError


def add_evaluate(commands: Any) -> None:
    """Add `sempa evaluate`."""
    made = add_command(
        commands, "evaluate", _evaluate, "measure both models: similarity, search, geometry, key tokens, writing"
    )
    made.add_argument(
        "what",
        choices=("sts", "contrast", "baselines", "generation", "paraphrase", "retrieval", "geometry", "tokens"),
        help="all but sts, contrast, geometry and tokens need the extra packages: pip install 'sempa-studio[evaluate]'",
    )
    made.add_argument(
        "--data",
        type=Path,
        help="contrast: sentence, paraphrase, edit, kind, split (default: the shipped triplets); "
        "sts and baselines: scored pairs, a file or a folder, for sts also `hub` (seven sets); generation: a "
        "folder of task files, or `hub` (the paper's five tasks); paraphrase: TSV files with sentence1; retrieval: a "
        "BEIR folder, or train.csv and test.csv (text, category); geometry: triplets; tokens: one sentence per line",
    )
    made.add_argument("--limit", type=int, help="measure about this many items of each task (not for baselines)")
    made.add_argument("--task", action="append", default=[], help="generation: run this task only; repeatable")
    made.add_argument(
        "--also", action="append", default=[], metavar="ADAPTER", help="baselines: one more adapter; repeatable"
    )
    made.add_argument("--split", choices=("dev", "test", "all"), default="test", help="contrast: default %(default)s")
    made.add_argument("--errors", action="store_true", help="contrast: print triplets where exactly one model errs")
    made.add_argument(
        "--baselines", action="store_true", help="contrast: also measure other poolings, prompts and MiniLM"
    )
    made.add_argument(
        "--preference", action="store_true", help="sts: also score by preference; retrieval: re-rank by it"
    )
    made.add_argument("--weight", type=float, help="weight of the preference score when added to the cosine")
    made.add_argument("--judge", help="paraphrase: sentence-transformers model (default: all-MiniLM-L6-v2)")
    made.add_argument("--text", default="as the files give it", help="how the text was prepared, in your words")
    made.add_argument("--json", type=Path, help="write the result here")
    add_encoder_options(made)


def _evaluate(args: argparse.Namespace) -> None:
    from sempa.embedding.encoder import Encoder
    from sempa.evaluation.contrast import CONTRAST
    from sempa.evaluation.parts import Measurement
    from sempa.evaluation.run import measure
    from sempa.models.preference import WEIGHT

    def show(name: str, figures: dict[str, Any]) -> None:
        shown = {key: value for key, value in figures.items() if key != "errors"}
        print(f"{name:15} {json.dumps(shown)}", flush=True)
        for one in figures.get("errors", ()) if args.errors else ():
            print("{errs} errs ({kind}): {sentence} | {paraphrase} | {edit}".format(**one))

    if args.data is None and args.what != "contrast":
        raise InputError(f"evaluate {args.what} needs --data.")
    request = Measurement(
        args.what,
        args.data or CONTRAST,
        args.text,
        args.limit,
        args.judge,
        tuple(args.task),
        split=args.split,
        preference=args.preference,
        weight=WEIGHT if args.weight is None else args.weight,
        baselines=args.baselines,
    )
    encoder = open_encoder(args)
    also = [Encoder(encoder.pair.with_adapter(name)) for name in args.also]
    measure(encoder, request, args.json, report, show, also)
