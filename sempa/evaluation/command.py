"""The commands `sempa evaluate` and `sempa tables`."""

import argparse
import json
from pathlib import Path
from typing import Any

from sempa.embedding.command import add_command, add_encoder_options, open_encoder, report


def add_evaluate(commands: Any) -> None:
    """Add `sempa evaluate`."""
    made = add_command(
        commands, "evaluate", _evaluate, "measure both models: similarity, search, geometry, key tokens, writing"
    )
    made.add_argument(
        "what",
        choices=("sts", "baselines", "generation", "paraphrase", "retrieval", "geometry", "tokens"),
        help="all but sts, geometry and tokens need the extra packages: pip install 'sempa-studio[evaluate]'",
    )
    made.add_argument(
        "--data",
        type=Path,
        required=True,
        help="sts and baselines: scored pairs, a file or a folder, for sts also `hub` (seven sets); generation: a "
        "folder of task files, or `hub` (the paper's five tasks); paraphrase: TSV files with sentence1; retrieval: a "
        "BEIR folder, or train.csv and test.csv (text, category); geometry: triplets; tokens: one sentence per line",
    )
    made.add_argument("--limit", type=int, help="measure about this many items of each task (not for sts)")
    made.add_argument("--task", action="append", default=[], help="generation: run this task only; repeatable")
    made.add_argument(
        "--also", action="append", default=[], metavar="ADAPTER", help="baselines: one more adapter; repeatable"
    )
    made.add_argument("--judge", help="paraphrase: sentence-transformers model (default: all-MiniLM-L6-v2)")
    made.add_argument("--text", default="as the files give it", help="how the text was prepared, in words")
    made.add_argument("--json", type=Path, help="write the result here; the same command resumes if interrupted")
    add_encoder_options(made)


def _evaluate(args: argparse.Namespace) -> None:
    from sempa.embedding.encoder import Encoder
    from sempa.evaluation.run import Measurement, measure

    def show(name: str, figures: dict[str, object]) -> None:
        shown = {key: value for key, value in figures.items() if key != "plane"}
        print(f"{name:15} {json.dumps(shown)}", flush=True)

    asked = Measurement(args.what, args.data, args.text, args.limit, args.judge, tuple(args.task))
    encoder = open_encoder(args)
    also = [Encoder(encoder.pair.with_adapter(name)) for name in args.also]
    measure(encoder, asked, args.json, report, show, also)


def add_tables(commands: Any) -> None:
    """Add `sempa tables`."""
    made = add_command(commands, "tables", _tables, "redraw the tables of a checkout's README and docs from results/")
    made.add_argument("checkout", type=Path, nargs="?", default=Path(), help="default: the current folder")


def _tables(args: argparse.Namespace) -> None:
    from sempa.evaluation.tables import with_tables

    root = args.checkout
    for page in (root / "README.md", root / "benchmarks" / "README.md", *sorted((root / "docs").glob("*.md"))):
        page.write_text(with_tables(page.read_text(encoding="utf-8"), root / "results"), encoding="utf-8")
