"""The command `sempa sparse fit`."""

import argparse
import json
from pathlib import Path
from typing import Any

from sempa.config import settings_of
from sempa.embedding.command import add_command, add_encoder_options, open_encoder, report
from sempa.sparse.settings import CodingConfig


def add_sparse(commands: Any) -> None:
    """Add `sempa sparse fit`."""
    actions = commands.add_parser("sparse", help="fit sparse codes of an adapter's embeddings").add_subparsers(
        required=True, metavar="ACTION"
    )
    made = add_command(
        actions, "fit", _fit, "fit sparse codes to triplets, for search by words and by learned features"
    )
    made.add_argument("--data", type=Path, required=True, help="triplets: CSV (sent0,sent1,hard_neg) or JSONL file")
    made.add_argument("--limit", type=int, help="use about this many triplets, evenly spaced")
    made.add_argument("--output", type=Path, help="new folder (default: codes, in the adapter's folder)")
    for name, text in settings_of(CodingConfig).items():
        default = getattr(CodingConfig, name)
        flag = f"--{name.replace('_', '-')}"
        made.add_argument(flag, type=type(default), default=default, help=f"{text} (%(default)s)")
    add_encoder_options(made)


def _fit(args: argparse.Namespace) -> None:
    from sempa.sparse.fit import fit_codes

    config = CodingConfig(**{name: getattr(args, name) for name in settings_of(CodingConfig)})
    measured = fit_codes(open_encoder(args), args.data, config, args.limit, args.output, report)
    for variant, figures in measured.items():
        print(f"{variant:15} {json.dumps(figures)}")
