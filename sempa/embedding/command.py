"""Commands over one encoder: the model options that all commands share, and `fit` and `export`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sempa.config import DEFAULT_BASE
from sempa.errors import InputError
from sempa.models.named import BASE_HELP

if TYPE_CHECKING:
    from sempa.embedding.encoder import Encoder


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], None], help: str
) -> argparse.ArgumentParser:
    """Add a command to a parser's commands; `run` gets the parsed arguments."""
    made = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
    made.set_defaults(run=run)
    return made


def add_model_options(made: argparse._ActionsContainer) -> None:
    """Add the options that choose a base model and how it runs."""
    made.add_argument("--base", default=DEFAULT_BASE, help=BASE_HELP)
    made.add_argument(
        "--precision", default="auto", help="auto, bfloat16, float16, float32 or nf4 (default: by processor)"
    )
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: the fastest)")


def add_encoder_options(made: argparse.ArgumentParser, *, settings: bool = True) -> None:
    """Add the options that choose an encoder: base model, adapter and, if `settings`, embedding settings."""
    model = made.add_argument_group("model")
    add_model_options(model)
    model.add_argument("--adapter", help="PEFT folder or hub id (default: the shipped `sempa`, on the default base)")
    if settings:
        model.add_argument(
            "--settings", type=Path, help="folder written by `sempa fit` (default: the adapter's own settings)"
        )


def open_encoder(args: argparse.Namespace) -> "Encoder":
    """Load the base, adapter and settings that the arguments name; without an adapter, the first shipped one."""
    from sempa.embedding.settings import open_settings
    from sempa.models.adapters import shipped_adapters

    encoder = open_encoders(args, [args.adapter] if args.adapter else shipped_adapters(args.base)[:1])[0]
    return open_settings(encoder.pair, args.settings) if getattr(args, "settings", None) else encoder


def open_encoders(args: argparse.Namespace, adapters: Sequence[str]) -> list["Encoder"]:
    """Load the base once and return an encoder for each adapter; one for the base if there is no adapter."""
    from sempa.embedding.encoder import Encoder
    from sempa.models.pair import ModelPair

    pair = ModelPair.open(
        args.base, next(iter(adapters), None), precision=args.precision, device=args.device, report=report
    )
    pair.for_inference()
    return [Encoder(one) for one in (pair, *map(pair.with_adapter, adapters[1:]))]


def report(line: str) -> None:
    """Print a line of progress to standard error."""
    print(line, file=sys.stderr, flush=True)


def add_fit(commands: Any) -> None:
    """Add `sempa fit`."""
    made = add_command(commands, "fit", _fit, "fit embedding post-processing to your texts, to use with --settings")
    made.add_argument("output", type=Path, help="new folder for the settings")
    made.add_argument("--texts", type=Path, required=True, help="TXT (one text per line), CSV or JSONL file")
    made.add_argument("--column", help="column that holds the text")
    made.add_argument("--limit", type=int, help="use about this many texts, evenly spaced")
    made.add_argument("--template", default="prompteol", help="prompteol, cot, knowledge or a text with {sentence}")
    made.add_argument("--layer", type=int, default=-1, help="layer to read; -1 is the last (default: %(default)s)")
    made.add_argument("--postprocess", default="whiten", help="centre, remove-top or whiten (default: %(default)s)")
    made.add_argument("--directions", type=int, default=3, help="directions for remove-top (default: %(default)s)")
    add_encoder_options(made, settings=False)


def _fit(args: argparse.Namespace) -> None:
    from sempa.config import EncoderConfig
    from sempa.data.corpora import read_corpus
    from sempa.data.rows import subsample
    from sempa.embedding.settings import fit_settings, save_settings
    from sempa.files import sha256_of

    texts = subsample(read_corpus(args.texts, args.column).texts, args.limit)
    fitted_on = f"{len(texts):,} texts of {args.texts.name} (SHA-256 {sha256_of(args.texts)})"
    config = EncoderConfig(template=args.template, layer=args.layer)
    pair = open_encoder(args).pair
    encoder = fit_settings(pair, config, args.postprocess, texts, fitted_on, args.directions)
    save_settings(encoder, args.output)
    print(f"{args.output}: {args.postprocess} fitted on {fitted_on}. Use it with --settings {args.output}.")


def add_export(commands: Any) -> None:
    """Add `sempa export`."""
    made = add_command(commands, "export", _export, "write a model for sentence-transformers or llama.cpp")
    made.add_argument(
        "--to",
        choices=("sentence-transformers", "gguf", "gguf-adapter"),
        required=True,
        help="a folder for sentence-transformers, a GGUF file, or the adapter alone as a GGUF file",
    )
    made.add_argument("output", type=Path, help="new folder or file")
    made.add_argument("--variant", choices=("base", "sempa"), help="default: sempa if there is an adapter")
    made.add_argument(
        "--dtype", default="float32", help="float32, bfloat16, float16 or, as GGUF, q8_0 (default: %(default)s)"
    )
    made.add_argument(
        "--framed", action="store_true", help="let the tokenizer add the prompt, for engines that apply no template"
    )
    add_encoder_options(made)


def _export(args: argparse.Namespace) -> None:
    from sempa.embedding.export import export_sentence_transformers
    from sempa.embedding.gguf_export import export_gguf, export_gguf_adapter

    if args.framed and args.to != "sentence-transformers":
        raise InputError("llama.cpp cannot add the prompt: leave out --framed and send complete prompts.")
    encoder = open_encoder(args)
    if args.to == "sentence-transformers":
        export_sentence_transformers(encoder, args.output, args.variant, args.dtype, framed=args.framed)
        print(f"{args.output}: load it with SentenceTransformer({str(args.output)!r}).")
    elif args.to == "gguf":
        export_gguf(encoder, args.output, args.variant, args.dtype)
        print(f"{args.output}: serve it with llama-server -m {args.output} --embedding --embd-normalize 2.")
    else:
        export_gguf_adapter(encoder, args.output, args.dtype)
        print(f"{args.output}: load it beside the base with --lora {args.output}.")
