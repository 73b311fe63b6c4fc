"""What `python -m sempa` and the app can be told; reading it needs no torch."""

import argparse
from pathlib import Path
from typing import Any

from sempa.config import CODERS, DEFAULT_BASE, CodingConfig


def parser() -> argparse.ArgumentParser:
    """Return the parser; importing it needs no torch."""
    made = argparse.ArgumentParser(
        prog="python -m sempa",
        description="embed, similarity, search, index, fit, evaluate, merge and export from the terminal",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")

    embed = commands.add_parser("embed", help="print a JSON array of numbers for each sentence, one a line")
    embed.add_argument("sentences", nargs="*", help="sentences; none means one a line from standard input")
    embed.add_argument("--variant", choices=("base", "sempa"), help="default: sempa where there is an adapter")

    similarity = commands.add_parser("similarity", help="print both models' cosine of two sentences")
    similarity.add_argument("first")
    similarity.add_argument("second")

    search = commands.add_parser("search", help="print both models' nearest texts")
    search.add_argument("query")
    search.add_argument("--index", default="demo", help="name of the index (default: %(default)s)")
    search.add_argument("--codes", choices=CODERS, help="search by sparse codes and print what matched")
    search.add_argument("-k", type=int, default=5, help="number of hits (default: %(default)s)")

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

    fit, evaluate = _add_fit(commands), _add_evaluate(commands)

    sparse = _add_sparse(commands)

    strength = commands.add_parser("strength", help="write a weaker copy of an adapter, between the base and itself")
    strength.add_argument("strength", type=float, help="1 is the adapter as it is, 0 would be the base")
    strength.add_argument("output", type=Path, help="a folder that does not exist yet")
    strength.add_argument("--adapter", help="PEFT folder or hub id (default: adapters/sempa)")

    average = commands.add_parser("average", help="write the mean of several adapters of one base as one adapter")
    average.add_argument("output", type=Path, help="a folder that does not exist yet")
    average.add_argument("--adapter", action="append", required=True, help="PEFT folder or hub id; give it repeatedly")
    average.add_argument("--rank", type=int, help="rank of the mean (default: all their ranks together, exactly it)")

    merge = commands.add_parser("merge", help="write base and adapter as one model that transformers loads by itself")
    merge.add_argument("output", type=Path, help="a folder that does not exist yet")

    export = commands.add_parser("export", help="write a folder that another library reads the same vectors from")
    export.add_argument("--to", choices=("sentence-transformers",), required=True, help="the library")
    export.add_argument("output", type=Path, help="a folder that does not exist yet")
    export.add_argument("--variant", choices=("base", "sempa"), help="default: sempa where there is an adapter")

    commands.add_parser("tables", help="redraw the tables of README and docs from results/")

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
    evaluate.add_argument(
        "--further", action="append", default=[], metavar="ADAPTER", help="peers: another adapter; several allowed"
    )
    evaluate.add_argument("--judge", help="paraphrase: sentence-transformers model (default: all-MiniLM-L6-v2)")
    evaluate.add_argument("--text", default="as the files give it", help="how the text was prepared, in words")
    evaluate.add_argument("--json", type=Path, help="write the result here; if broken off, the same command goes on")
    return evaluate


def add_model_arguments(made: argparse.ArgumentParser) -> None:
    """Add the arguments that choose a base model and how it runs, the same for every entry."""
    made.add_argument("--base", default=DEFAULT_BASE, help="hub id, folder or GGUF file (default: %(default)s)")
    made.add_argument(
        "--precision", default="auto", help="auto, bfloat16, float16, float32 or nf4 (default: by processor)"
    )
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
