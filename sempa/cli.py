"""`python -m sempa`: embed, similarity, search, index, fit, evaluate, weaken, merge and export from the terminal."""

import argparse
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sempa.arguments import parser
from sempa.config import CodingConfig
from sempa.errors import SempaError
from sempa.percent import percent

if TYPE_CHECKING:
    from sempa.embedding.encoder import Encoder
    from sempa.service.studio import Studio


def open_encoder(args: argparse.Namespace) -> "Encoder":
    """Load the model the arguments name, with the adapter they name or the first that is shipped, and their reading."""
    from sempa.embedding.settings import open_reading
    from sempa.models.adapters import shipped_adapters

    encoder = open_encoders(args, [args.adapter] if args.adapter else shipped_adapters(args.base)[:1])[0]
    return open_reading(encoder.pair, args.reading) if getattr(args, "reading", None) else encoder


def open_encoders(args: argparse.Namespace, adapters: Sequence[str]) -> list["Encoder"]:
    """Load the base model once and return an encoder for each adapter; the base's alone if there is none."""
    from sempa.embedding.encoder import Encoder
    from sempa.models.pair import ModelPair

    pair = ModelPair.open(
        args.base,
        next(iter(adapters), None),
        precision=args.precision,
        device=args.device,
        report=_report,
    )
    pair.for_inference()
    return [Encoder(one) for one in (pair, *map(pair.with_adapter, adapters[1:]))]


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 2 with one line on standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    args = parser().parse_args(argv)
    try:
        COMMANDS[args.command](args)
    except SempaError as error:
        print(f"sempa: {error}", file=sys.stderr)
        return 2
    return 0


def _open_studio(args: argparse.Namespace) -> "Studio":
    from sempa.service.studio import Studio

    return Studio(open_encoder(args))


def _embed(args: argparse.Namespace) -> None:
    sentences = args.sentences or [line.rstrip("\n") for line in sys.stdin]
    from sempa.service.limits import MAX_SENTENCES

    # Few sentences are read one by one, as the endpoints read them, so that both give the same numbers.
    for row in open_encoder(args).encode(sentences, args.variant, alone=len(sentences) <= MAX_SENTENCES):
        print(json.dumps([round(float(value), 7) for value in row]))


def _similarity(args: argparse.Namespace) -> None:
    print(json.dumps(_open_studio(args).similarity(args.first, args.second)))


def _search(args: argparse.Namespace) -> None:
    from sempa.service.sparse_search import found_payload

    print(json.dumps(found_payload(_open_studio(args), args.query, args.index, args.k, args.codes), indent=2))


def _index(args: argparse.Namespace) -> None:
    from sempa.data.corpora import read_corpus
    from sempa.embedding.build import read_into, reading_folder
    from sempa.embedding.index import SentenceIndex, index_folder
    from sempa.models.processes import Processes
    from sempa.service.sparse_search import code_reader
    from sempa.sparse.coders import add_codes, load_coders

    folder = index_folder(args.name)
    index = SentenceIndex(read_corpus(args.texts, args.column)) if args.texts else SentenceIndex.load(folder)
    processes = Processes.join()
    encoder = open_encoder(args)
    coders = load_coders(encoder.pair) if args.codes else {}
    readers = [code_reader(encoder, coders, kind) for kind in args.codes]  # what is missing is said before the reading
    kept = reading_folder(folder)
    read_into(index, encoder, processes, kept, args.parquet, _progress_line() if processes.first else None)
    if not processes.first:
        return
    for reader in readers:
        add_codes(index, reader)
    index.save(folder)
    shutil.rmtree(kept, ignore_errors=True)
    print(f"{folder}: {len(index):,} texts, read with {' and '.join(encoder.variants)}.")
    for variant in encoder.variants:
        if how := index.approximation(encoder.recipe(variant)):
            print(f"{variant}: searched approximately, {percent(how.recall, 1)} of the exact ten nearest are found.")


def _fit(args: argparse.Namespace) -> None:
    from sempa.config import EncoderConfig
    from sempa.data.corpora import read_corpus
    from sempa.data.rows import subsample
    from sempa.embedding.settings import fit_reading, save_reading
    from sempa.models.source import sha256_of

    texts = subsample(read_corpus(args.texts, args.column).texts, args.limit)
    fitted_on = f"{len(texts):,} texts of {args.texts.name} (SHA-256 {sha256_of(args.texts)})"
    config = EncoderConfig(template=args.template, layer=args.layer)
    pair = open_encoder(args).pair
    encoder = fit_reading(pair, config, args.postprocess, texts, fitted_on, args.directions)
    save_reading(encoder, args.output)
    print(f"{args.output}: {args.postprocess} fitted on {fitted_on}; use it with --reading {args.output}.")


def _sparse_fit(args: argparse.Namespace) -> None:
    from sempa.sparse.fit import fit_codes

    given = {
        name: getattr(args, name)
        for name in ("units_per_number", "k", "epochs", "lr", "tau", "preference_weight", "seed")
    }
    config = CodingConfig(**given)
    measured = fit_codes(open_encoder(args), args.data, config, args.limit, args.output, args.examples, _report)
    for variant, figures in measured.items():
        print(f"{variant:15} {json.dumps(figures)}")


def _progress_line() -> Callable[[int, int], None]:
    started, first, last = 0.0, 0, sys.maxsize

    def say(done: int, total: int) -> None:
        nonlocal started, first, last
        if done < last:  # a variant begins
            started, first = time.monotonic(), done
        last = done
        seconds = max(time.monotonic() - started, 1e-9)
        rate = f", {(done - first) / seconds:.0f} a second" if done > first else ""
        end = "\n" if done == total else ""
        print(f"\r{done:,} of {total:,} texts{rate}", end=end, file=sys.stderr, flush=True)

    return say


def _evaluate(args: argparse.Namespace) -> None:
    from sempa.embedding.encoder import Encoder
    from sempa.evaluation.run import Measurement, measure

    def said(name: str, figures: dict[str, object]) -> None:
        shown = {key: value for key, value in figures.items() if key != "plane"}
        print(f"{name:15} {json.dumps(shown)}", flush=True)

    asked = Measurement(args.what, args.data, args.text, args.limit, args.judge, tuple(args.task))
    encoder = open_encoder(args)
    further = [Encoder(encoder.pair.with_adapter(name)) for name in args.further]
    measure(encoder, asked, args.json, _report, said, further)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _strength(args: argparse.Namespace) -> None:
    from sempa.models.adapters import shipped_adapters
    from sempa.training.derived import at_strength

    adapter = args.adapter or next(iter(shipped_adapters()))
    at_strength(adapter, args.output, args.strength)
    print(f"{args.output}: {adapter} at {args.strength:g} of its strength; use it with --adapter {args.output}.")


def _average(args: argparse.Namespace) -> None:
    from sempa.training.derived import average

    average(args.adapter, args.output, args.rank)
    print(f"{args.output}: the mean of {len(args.adapter)} adapters; use it with --adapter {args.output}.")


def _merge(args: argparse.Namespace) -> None:
    from sempa.models.merge import save_merged

    save_merged(open_encoder(args).pair, args.output)
    print(f"{args.output}: the merged model; load it with transformers, or with --base {args.output}.")


def _export(args: argparse.Namespace) -> None:
    from sempa.embedding.export import export_sentence_transformers

    export_sentence_transformers(open_encoder(args), args.output, args.variant)
    print(f"{args.output}: load it with SentenceTransformer({str(args.output)!r}).")


def _tables(_: argparse.Namespace) -> None:
    from sempa.evaluation.tables import with_tables
    from sempa.service.studio import RESULTS_ROOT

    root = RESULTS_ROOT.parent
    for page in (root / "README.md", root / "benchmarks" / "README.md", *sorted((root / "docs").glob("*.md"))):
        page.write_text(with_tables(page.read_text(encoding="utf-8"), RESULTS_ROOT), encoding="utf-8")


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "embed": _embed,
    "similarity": _similarity,
    "search": _search,
    "index": _index,
    "fit": _fit,
    "evaluate": _evaluate,
    "sparse": _sparse_fit,
    "merge": _merge,
    "strength": _strength,
    "average": _average,
    "export": _export,
    "tables": _tables,
}
