"""The `sempa` command. Each parser stands beside its handler; `--help` needs no torch."""

import argparse
import functools
import json
import logging
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sempa import __version__
from sempa.config import CODE_KINDS, SHIPPED
from sempa.embedding.command import add_command, add_encoder_options, add_export, add_fit, open_encoder
from sempa.errors import InputError, SempaError
from sempa.evaluation.command import add_evaluate
from sempa.files import cache_folder
from sempa.service.command import add_serve
from sempa.sparse.command import add_sparse

if TYPE_CHECKING:
    from sempa.service.studio import Studio

_ABOUT = """Compare a language model before and after SemPA alignment: embeddings, search, evaluation, training.

  sempa app
  sempa similarity "The hare outran the hound." "The hound outran the hare."
  sempa index mine --texts notes.txt
  sempa search "a question" --index mine
"""


_SCRIPTS = {"app": "open the app in the browser, as `python app.py`", "train": "train an adapter, as `python train.py`"}


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 with one line on standard error."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in _SCRIPTS:
        return _run_script(*argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    args = parser().parse_args(argv)
    try:
        args.run(args)
    except SempaError as error:
        print(f"sempa: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _run_script(name: str, *argv: str) -> int:
    sys.argv[0] = f"sempa {name}"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # when stopped, end as on Ctrl-C: with a last word
    status: int = runpy.run_path(str(SHIPPED / f"{name}.py"))["main"](argv)
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="sempa", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--version", action="version", version=__version__)
    commands = made.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, text in _SCRIPTS.items():
        commands.add_parser(name, help=text, add_help=False)
    for add in (
        add_embed,
        add_similarity,
        add_search,
        add_serve,
        add_index,
        add_fit,
        add_sparse,
        add_evaluate,
        add_scale,
        add_average,
        add_merge,
        add_export,
        add_cache,
    ):
        add(commands)
    return made


def add_embed(commands: Any) -> None:
    """Add `sempa embed`."""
    made = add_command(commands, "embed", _embed, "print the embedding of each sentence, a JSON array per line")
    made.add_argument("sentences", nargs="*", help="sentences (default: the lines of standard input)")
    made.add_argument("--variant", choices=("base", "sempa"), help="default: sempa if there is an adapter")
    add_encoder_options(made)


def _embed(args: argparse.Namespace) -> None:
    sentences = args.sentences or [line.rstrip("\n") for line in sys.stdin]
    from sempa.service.limits import MAX_SENTENCES

    encoder = open_encoder(args)
    variant = args.variant or encoder.best_variant
    encoder.recipe(variant)  # refuses an unknown one
    # Few sentences are computed one by one, as the endpoints do, so that both give the same numbers.
    few = len(sentences) <= MAX_SENTENCES
    for row in encoder.encode_each(sentences)[variant] if few else encoder.encode(sentences, variant):
        print(json.dumps([round(float(value), 7) for value in row]))


def add_similarity(commands: Any) -> None:
    """Add `sempa similarity`."""
    made = add_command(
        commands, "similarity", _similarity, "print the cosine and the preference score of two sentences"
    )
    made.add_argument("first")
    made.add_argument("second")
    add_encoder_options(made)


def _similarity(args: argparse.Namespace) -> None:
    studio, sentences = _open_studio(args), (args.first, args.second)
    found = studio.similarity(*sentences)
    print(json.dumps(found | ({"preference": studio.preference(*sentences)} if studio.adapter else {})))


def _open_studio(args: argparse.Namespace) -> "Studio":
    from sempa.service.studio import Studio

    return Studio(open_encoder(args))


def add_search(commands: Any) -> None:
    """Add `sempa search`."""
    made = add_command(commands, "search", _search, "print the texts of an index nearest to a query, by both models")
    made.add_argument("query")
    made.add_argument("--index", default="demo", help="name of the index (default: %(default)s)")
    made.add_argument("--codes", choices=CODE_KINDS, help="search by sparse codes and print what matched")
    made.add_argument("-k", type=int, default=5, help="number of hits (default: %(default)s)")
    add_encoder_options(made)


def _search(args: argparse.Namespace) -> None:
    from sempa.embedding.ranking import hits_payload

    studio, asked = _open_studio(args), (args.query, args.index, args.k)
    found = studio.search_codes(*asked, args.codes) if args.codes else studio.search(*asked)
    print(json.dumps(hits_payload(found), indent=2))


def add_index(commands: Any) -> None:
    """Add `sempa index`."""
    made = add_command(commands, "index", _index, "build an index, or add this model's vectors to an existing one")
    made.add_argument("name", help="lower-case letters, digits, '-' and '_'; the folder is index/NAME")
    made.add_argument(
        "--texts", type=Path, help="TXT (one text per line), CSV, JSONL or Parquet file (default: those of the index)"
    )
    made.add_argument("--column", help="column that holds the text")
    made.add_argument(
        "--codes", choices=CODE_KINDS, action="append", default=[], help="also add sparse codes; repeatable"
    )
    made.add_argument("--actors", type=int, help="share the work among so many Ray actors (pip install 'ray[data]')")
    made.add_argument("--parquet", type=Path, help="also write the vectors to this folder, for other engines")
    add_encoder_options(made)


def _index(args: argparse.Namespace) -> None:
    from sempa.data.corpora import read_corpus
    from sempa.embedding.build import embed_corpus, partial_folder
    from sempa.embedding.distributed import add_shards, embed_shards
    from sempa.embedding.index import SentenceIndex, find_index, index_folder
    from sempa.sparse.coders import SparseEncoder

    folder = index_folder(args.name)
    index = (
        SentenceIndex(read_corpus(args.texts, args.column)) if args.texts else SentenceIndex.load(find_index(args.name))
    )
    encoder = open_encoder(args)
    sparse = [SparseEncoder.open(encoder, kind) for kind in args.codes]  # missing codes are refused before embedding
    partial = partial_folder(folder)
    if args.actors:
        shards = args.parquet or partial
        opened = functools.partial(open_encoder, args)
        embed_shards(index.corpus.texts, shards, opened, encoder.variants, actors=args.actors, progress=_progress_bar())
        for variant in encoder.variants:
            add_shards(index, shards / variant, partial / f"{variant}.rows")
    else:
        embed_corpus(index, encoder, _progress_bar(), partial=partial, parquet=args.parquet)
    for one in sparse:
        one.add_to(index)
    index.save(folder)
    shutil.rmtree(partial, ignore_errors=True)
    print(f"{folder}: {len(index):,} texts, embedded with {' and '.join(encoder.variants)}.")
    for variant in encoder.variants:
        if how := index.approximation(encoder.recipe(variant)):
            print(f"{variant}: approximate search finds {how.recall:.1%} of the exact ten nearest texts.")


def _progress_bar() -> Callable[[int, int], None]:
    """Return a callback of (done, total) that draws a bar; what an earlier run did counts as done, not as speed."""
    from tqdm import tqdm

    bar = tqdm(unit=" vectors", disable=None)

    def show(done: int, total: int) -> None:
        if bar.total is None:
            bar.reset(total)
            bar.n = bar.initial = done
        bar.update(done - bar.n)

    return show


def add_scale(commands: Any) -> None:
    """Add `sempa scale`."""
    made = add_command(commands, "scale", _scale, "write a copy of an adapter at another scale")
    made.add_argument(
        "scale", type=float, help="1 leaves the adapter unchanged; the nearer to 0, the nearer to the base"
    )
    made.add_argument("output", type=Path, help="new folder")
    made.add_argument("--adapter", help="PEFT folder or hub id (default: the shipped `sempa`)")


def _scale(args: argparse.Namespace) -> None:
    from sempa.models.adapters import shipped_adapters
    from sempa.training.derived import scaled

    adapter = args.adapter or shipped_adapters()[0]
    scaled(adapter, args.output, args.scale)
    print(f"{args.output}: {adapter} at scale {args.scale:g}. Use it with --adapter {args.output}.")


def add_average(commands: Any) -> None:
    """Add `sempa average`."""
    made = add_command(commands, "average", _average, "average the weights of several adapters for one base")
    made.add_argument("output", type=Path, help="new folder")
    made.add_argument("--adapter", action="append", required=True, help="PEFT folder or hub id; repeatable")
    made.add_argument("--rank", type=int, help="rank of the average (default: the sum of all ranks, which is exact)")


def _average(args: argparse.Namespace) -> None:
    from sempa.training.derived import average

    average(args.adapter, args.output, args.rank)
    print(f"{args.output}: the average of {len(args.adapter)} adapters. Use it with --adapter {args.output}.")


def add_merge(commands: Any) -> None:
    """Add `sempa merge`."""
    made = add_command(commands, "merge", _merge, "write base and adapter as one model that transformers loads")
    made.add_argument("output", type=Path, help="new folder")
    add_encoder_options(made, settings=False)


def _merge(args: argparse.Namespace) -> None:
    from sempa.models.combine import save_merged

    save_merged(open_encoder(args).pair, args.output)
    print(f"{args.output}: the merged model. Load it with transformers, or with --base {args.output}.")


def add_cache(commands: Any) -> None:
    """Add `sempa cache`."""
    made = add_command(commands, "cache", _cache, "list or clear the models converted from GGUF files")
    made.add_argument("action", choices=("list", "clear"))
    made.add_argument("names", nargs="*", metavar="NAME", help="entries to clear (default: all)")


def _cache(args: argparse.Namespace) -> None:
    from sempa.models.conversions import clear, conversions

    entries = {entry.folder.name: entry for entry in conversions()}
    if unknown := [name for name in args.names if name not in entries]:
        raise InputError(f"There is no entry {unknown[0]} in the cache: `sempa cache list` shows what is there.")
    if args.action == "clear":
        print(f"{clear(args.names) / 2**20:,.0f} MiB freed.")
        return
    for name, entry in entries.items():
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d")
        print(f"{name}  {entry.bytes / 2**20:,.0f} MiB  last used {used}  from {entry.gguf}")
    print(f"{sum(entry.bytes for entry in entries.values()) / 2**20:,.0f} MiB in {cache_folder()}")
