"""Start SemPA Studio: `python app.py`; `python app.py --help` lists the options."""

import argparse
import importlib.util
import logging
import os
import sys

if importlib.util.find_spec("spaces"):
    import spaces  # noqa: F401  on a ZeroGPU Space it must come before torch
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: no outside connections

from typing import TYPE_CHECKING

from sempa.errors import InputError, SempaError
from sempa.service.command import add_server_options, open_adapters

if TYPE_CHECKING:
    from sempa.service.adapters import Adapters
    from sempa.service.jobs import TrainingJobs


def parser() -> argparse.ArgumentParser:
    """Return the parser; importing it needs no torch."""
    made = argparse.ArgumentParser(description="Compare a base model and its SemPA adapter.")
    add_server_options(made)
    made.add_argument(
        "--share", action="store_true", help="create a public link through Gradio's servers, valid for a week at most"
    )
    made.add_argument("--auth", metavar="USER:PASSWORD", help="require this user name and password")
    made.add_argument("--allow-training", action="store_true", help="let visitors train adapters, one run at a time")
    made.add_argument("--mcp", action="store_true", help="also offer the endpoints as MCP tools")
    return made


def main(argv: list[str] | None = None) -> int:
    """Start the app and serve until it is stopped; return the exit status."""
    args = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # warns about an optional package that is not needed
    try:
        auth = _auth(args.auth, args.mcp)
        adapters = _open_adapters(args)
        from sempa.ui.launch import launch

        launch(
            adapters,
            jobs=_jobs(args) if args.allow_training else None,
            server_name=args.server_name,
            server_port=args.server_port,
            share=args.share,
            auth=auth,
            mcp=args.mcp,
            allow_hosts=args.allow_host,
        )
    except SempaError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


def _auth(text: str | None, mcp: bool) -> tuple[str, str] | None:
    if text is None:
        return None
    user, _, password = text.partition(":")
    if not user or not password:
        raise InputError("--auth must have the form user:password.")
    if mcp:
        raise InputError(
            "--auth and --mcp exclude each other: MCP tools ask for no password. Let a reverse proxy ask for one."
        )
    return user, password


def _jobs(args: argparse.Namespace) -> "TrainingJobs":
    from sempa.service.jobs import TrainingJobs

    return TrainingJobs(args.base, options=("--precision", args.precision, "--device", args.device))


def _open_adapters(args: argparse.Namespace) -> "Adapters":
    adapters = open_adapters(args)
    if not adapters.choose().adapter:
        train = "python train.py" + ("" if args.base == parser().get_default("base") else f" --base {args.base}")
        print(
            "No adapter is loaded: the page shows the base model only. "
            f"Train one with `{train}`, then restart with --adapter FOLDER."
        )
    return adapters


if __name__ == "__main__":
    raise SystemExit(main())
