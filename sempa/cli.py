"""`python -m sempa`: embed, similarity, search, index, fit, evaluate, merge and export from the terminal."""

import argparse
import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sempa.config import CODERS, DEFAULT_BASE, CodingConfig
from sempa.errors import SempaError

if TYPE_CHECKING:
    from sempa.reading.encoder import Encoder
    from sempa.studio import Studio


def parser() -> argparse.ArgumentParser:
    """Return the parser; importing it needs no torch."""
    made = argparse.ArgumentParser(prog="python -m sempa", description=__doc__)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")

    embed = commands.add_parser("embed", help="print a JSON array of numbers for each sentence, one a line")
    embed.add_argument("sentences", nargs="*", help="sentences; none means one a line from standard input")
    embed.add_argument("--variant", choices=("base", "sempa"), help="default: sempa where there is an adapter")
    embed.set_defaults(run=_embed)

    similarity = commands.add_parser("similarity", help="print both models' cosine of two sentences")
    similarity.add_argument("first")
    similarity.add_argument("second")
    similarity.set_defaults(run=_similarity)

    search = commands.add_parser("search", help="print both models' nearest texts")
    search.add_argument("query")
    search.add_argument("--index", default="demo", help="name of the index (default: %(default)s)")
    search.add_argument("--codes", choices=CODERS, help="search by sparse codes and print what matched")
    search.add_argument("-k", type=int, default=5, help="number of hits (default: %(default)s)")
    search.set_defaults(run=_search)

    index = commands.add_parser("index", help="build an index, or add this model's vectors to one")
    index.add_argument("name", help="lower-case letters, digits, '-' and '_'; the folder is index/NAME")
    index.add_argument(
        "--texts",
        type=Path,
        help="TXT (one a line), CSV or JSONL to build from anew; without it, the index's own texts",
    )
    index.add_argument("--column", help="the column that holds the text")
    index.add_argument(
        "--codes",
        choices=CODERS,
        action="append",
        default=[],
        help="hold sparse codes too; twice for both",
    )
    index.add_argument("--parquet", type=Path, help="also write the vectors to this folder, for other engines")
    index.set_defaults(run=_index)

    fit, evaluate = _add_fit(commands), _add_evaluate(commands)

    sparse = _add_sparse(commands)

    merge = commands.add_parser("merge", help="write base and adapter as one model that transformers loads by itself")
    merge.add_argument("output", type=Path, help="a folder that does not exist yet")
    merge.set_defaults(run=_merge)

    export = commands.add_parser("export", help="write a folder that another library reads the same vectors from")
    export.add_argument("--to", choices=("sentence-transformers",), required=True, help="the library")
    export.add_argument("output", type=Path, help="a folder that does not exist yet")
    export.add_argument("--variant", choices=("base", "sempa"), help="default: sempa where there is an adapter")
    export.set_defaults(run=_export)

    tables = commands.add_parser("tables", help="redraw the READMEs' tables from results/")
    tables.set_defaults(run=_tables)

    for command in (embed, similarity, search, index, evaluate, export, sparse):
        command.add_argument("--reading", type=Path, help="folder written by `fit` (default: the adapter's own recipe)")
    for command in (embed, similarity, search, index, fit, evaluate, merge, export, sparse):
        add_model_arguments(command)
        command.add_argument("--adapter", help="PEFT folder or hub id (default: adapters/sempa, for the default base)")
    return made


def _add_fit(commands: Any) -> argparse.ArgumentParser:
    fit = commands.add_parser("fit", help="fit a reading with post-processing on your text, for --reading")
    fit.add_argument("output", type=Path, help="a folder that does not exist yet")
    fit.add_argument(
        "--texts", type=Path, required=True, help="TXT (one a line), CSV or JSONL to fit the statistics on"
    )
    fit.add_argument("--column", help="the column that holds the text")
    fit.add_argument("--limit", type=int, help="fit on about so many of the texts, evenly taken")
    fit.add_argument("--template", default="prompteol", help="prompteol, cot, knowledge or a text with {sentence}")
    fit.add_argument("--layer", type=int, default=-1, help="layer to read, -1 is the last (default: %(default)s)")
    fit.add_argument("--postprocess", default="whiten", help="centre, remove-top or whiten (default: %(default)s)")
    fit.add_argument("--directions", type=int, default=3, help="directions remove-top removes (default: %(default)s)")
    fit.set_defaults(run=_fit)
    return fit


def _add_sparse(commands: Any) -> argparse.ArgumentParser:
    actions = commands.add_parser("sparse", help="sparse codes of an adapter's embeddings").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    known = CodingConfig()
    fit = actions.add_parser("fit", help="fit codes on triplets, for search by words and by learned units")
    fit.add_argument("--data", type=Path, required=True, help="triplets: a CSV (sent0,sent1,hard_neg) or JSONL file")
    fit.add_argument("--limit", type=int, help="fit on about so many of the triplets, evenly taken")
    fit.add_argument("--output", type=Path, help="a folder that does not exist yet (default: codes, in the adapter's)")
    fit.add_argument("--examples", type=Path, help="texts that units are shown by (default: the triplets' own)")
    fit.add_argument(
        "--units-per-number",
        type=int,
        default=known.units_per_number,
        help="units for each number of a vector: more restore more and find less (default: %(default)s)",
    )
    fit.add_argument("--k", type=int, default=known.k, help="units kept while fitting (default: %(default)s)")
    fit.add_argument("--epochs", type=int, default=known.epochs, help="passes over the triplets (default: %(default)s)")
    fit.add_argument("--lr", type=float, default=known.lr, help="learning rate (default: %(default)s)")
    fit.add_argument("--tau", type=float, default=known.tau, help="temperature of the codes (default: %(default)s)")
    fit.add_argument(
        "--preference-weight",
        type=float,
        default=known.preference_weight,
        help="weight of preferring the entailment's code beside restoring the vector (default: %(default)s)",
    )
    fit.add_argument("--seed", type=int, default=known.seed, help="seed of weights and data order")
    fit.set_defaults(run=_sparse_fit)
    return fit


def _add_evaluate(commands: Any) -> argparse.ArgumentParser:
    evaluate = commands.add_parser(
        "evaluate", help="measure both models: similarity, search, geometry, key tokens, knowledge, writing"
    )
    evaluate.add_argument(
        "what",
        choices=("sts", "peers", "generation", "paraphrase", "retrieval", "geometry", "tokens"),
        help="all but sts, geometry and tokens need `pip install -r requirements-evaluate.txt`",
    )
    evaluate.add_argument(
        "--data",
        type=Path,
        required=True,
        help="sts and peers: scored pairs, a file or a folder, for sts also `hub` (seven sets there); generation: a "
        "folder of task files, or `hub` (the paper's five tasks); paraphrase: TSV files with sentence1; retrieval: a "
        "BEIR folder, or train.csv and test.csv (text, category); geometry: triplets; tokens: sentences, one a line",
    )
    evaluate.add_argument("--limit", type=int, help="not for sts: measure about so many items of each task")
    evaluate.add_argument("--task", action="append", default=[], help="generation: only this task; several allowed")
    evaluate.add_argument("--judge", help="paraphrase: sentence-transformers model (default: all-MiniLM-L6-v2)")
    evaluate.add_argument("--text", default="as the files give it", help="how the text was prepared, in words")
    evaluate.add_argument("--json", type=Path, help="write the result here; if broken off, the same command goes on")
    evaluate.set_defaults(run=_evaluate)
    return evaluate


def add_model_arguments(made: argparse.ArgumentParser) -> None:
    """Add the arguments that choose a base model and how it runs, the same for every entry."""
    made.add_argument("--base", default=DEFAULT_BASE, help="hub id, folder or GGUF file (default: %(default)s)")
    made.add_argument(
        "--precision", default="auto", help="auto, bfloat16, float16, float32 or nf4 (default: by processor)"
    )
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def open_encoder(args: argparse.Namespace) -> "Encoder":
    """Load the model the arguments name, with the adapter they name or the first that is shipped, and their reading."""
    from sempa.models.adapters import shipped_adapters
    from sempa.reading.readings import open_reading

    encoder = open_encoders(args, [args.adapter] if args.adapter else shipped_adapters(args.base)[:1])[0]
    return open_reading(encoder.pair, args.reading) if getattr(args, "reading", None) else encoder


def open_encoders(args: argparse.Namespace, adapters: Sequence[str]) -> list["Encoder"]:
    """Load the base model once and return an encoder for each adapter; the base's alone if there is none."""
    from sempa.models.pair import ModelPair
    from sempa.reading.encoder import Encoder

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
        args.run(args)
    except SempaError as error:
        print(f"sempa: {error}", file=sys.stderr)
        return 2
    return 0


def _open_studio(args: argparse.Namespace) -> "Studio":
    from sempa.studio import Studio

    return Studio(open_encoder(args))


def _embed(args: argparse.Namespace) -> None:
    sentences = args.sentences or [line.rstrip("\n") for line in sys.stdin]
    from sempa.limits import MAX_SENTENCES

    # Few sentences are read one by one, as the endpoints read them, so that both give the same numbers.
    for row in open_encoder(args).encode(sentences, args.variant, alone=len(sentences) <= MAX_SENTENCES):
        print(json.dumps([round(float(value), 7) for value in row]))


def _similarity(args: argparse.Namespace) -> None:
    print(json.dumps(_open_studio(args).similarity(args.first, args.second)))


def _search(args: argparse.Namespace) -> None:
    from sempa.coded import found_payload

    print(json.dumps(found_payload(_open_studio(args), args.query, args.index, args.k, args.codes), indent=2))


def _index(args: argparse.Namespace) -> None:
    from sempa.coded import code_reader
    from sempa.models.processes import Processes
    from sempa.reading.build import code_into, read_into, reading_folder
    from sempa.reading.coders import shipped_coders
    from sempa.reading.index import SentenceIndex, index_folder
    from sempa.reading.texts import read_corpus

    folder = index_folder(args.name)
    index = SentenceIndex(read_corpus(args.texts, args.column)) if args.texts else SentenceIndex.load(folder)
    processes = Processes.join()
    encoder = open_encoder(args)
    coders = shipped_coders(encoder.pair) if args.codes else {}
    readers = [code_reader(encoder, coders, kind) for kind in args.codes]  # what is missing is said before the reading
    kept = reading_folder(folder)
    read_into(index, encoder, processes, kept, args.parquet, _progress_line() if processes.first else None)
    if not processes.first:
        return
    for reader in readers:
        code_into(index, reader)
    index.save(folder)
    shutil.rmtree(kept, ignore_errors=True)
    print(f"{folder}: {len(index):,} texts, read with {' and '.join(encoder.variants)}.")
    for variant in encoder.variants:
        if how := index.approximation(encoder.recipe(variant)):
            print(f"{variant}: searched approximately, {how.recall:.1%} of the exact ten nearest are found.")


def _fit(args: argparse.Namespace) -> None:
    from sempa.config import EncoderConfig
    from sempa.evidence.thinned import thinned
    from sempa.models.source import sha256_of
    from sempa.reading.readings import fit_reading, save_reading
    from sempa.reading.texts import read_corpus

    texts = thinned(read_corpus(args.texts, args.column).texts, args.limit)
    fitted_on = f"{len(texts):,} texts of {args.texts.name} (SHA-256 {sha256_of(args.texts)})"
    config = EncoderConfig(template=args.template, layer=args.layer)
    pair = open_encoder(args).pair
    encoder = fit_reading(pair, config, args.postprocess, texts, fitted_on, args.directions)
    save_reading(encoder, args.output)
    print(f"{args.output}: {args.postprocess} fitted on {fitted_on}; use it with --reading {args.output}.")


def _sparse_fit(args: argparse.Namespace) -> None:
    from sempa.sparse import fit_codes

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
    from sempa.measure import Measurement, measure

    def said(name: str, figures: dict[str, object]) -> None:
        shown = {key: value for key, value in figures.items() if key != "plane"}
        print(f"{name:15} {json.dumps(shown)}", flush=True)

    asked = Measurement(args.what, args.data, args.text, args.limit, args.judge, tuple(args.task))
    measure(open_encoder(args), asked, args.json, _report, said)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _merge(args: argparse.Namespace) -> None:
    from sempa.models.merging import save_merged

    save_merged(open_encoder(args).pair, args.output)
    print(f"{args.output}: the merged model; load it with transformers, or with --base {args.output}.")


def _export(args: argparse.Namespace) -> None:
    from sempa.reading.export import export_sentence_transformers

    export_sentence_transformers(open_encoder(args), args.output, args.variant)
    print(f"{args.output}: load it with SentenceTransformer({str(args.output)!r}).")


def _tables(_: argparse.Namespace) -> None:
    from sempa.evidence.tables import with_tables
    from sempa.studio import RESULTS_ROOT

    for folder in (RESULTS_ROOT.parent, RESULTS_ROOT, RESULTS_ROOT.with_name("benchmarks")):
        readme = folder / "README.md"
        readme.write_text(with_tables(readme.read_text(encoding="utf-8"), RESULTS_ROOT), encoding="utf-8")
