"""Measure time and memory of building an index, by number of texts, up to a million.

`python benchmarks/index_size.py --data SENTENCES.txt --json results/index-size.json` builds an index for each number of
texts (the file's sentences, repeated), as `python -m sempa index` does without an adapter, each in its own process.
Only the first layer of the default model runs: all thirty would take a night for a million sentences on two cores, and
the benchmark measures the cost around the layers. Then the complete model encodes growing numbers of sentences. Memory
is the process's anonymous memory (RssAnon, Linux), without file pages, which the system may drop. Numbers already in
the JSON are skipped.
"""

import argparse
import itertools
import json
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from shared import Side, as_side, keep, next_turn, send

from sempa.config import DEFAULT_BASE
from sempa.data.corpora import read_corpus
from sempa.embedding.build import embed_corpus, partial_folder
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.models.combine import standalone
from sempa.models.pair import BASE, ModelPair

COUNTS = (10_000, 100_000, 1_000_000)
WHOLE_MODEL = (500, 1_000, 2_000, 4_000)


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="sentences, one per line")
    made.add_argument(
        "--counts", type=int, nargs="+", default=COUNTS, help="texts of each index (default: %(default)s)"
    )
    made.add_argument("--json", type=Path)
    return made


def anonymous_bytes() -> int:
    """Return this process's anonymous memory in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


class Peak:
    """Sample memory ten times per second while the block runs."""

    def __enter__(self) -> "Peak":
        self.bytes, self._over = anonymous_bytes(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.bytes = max(self.bytes, anonymous_bytes())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


class Clock:
    """Record the time of the last call."""

    def __call__(self, *_: object) -> None:
        self.at = time.perf_counter()


def index_side(job: dict[str, Any]) -> None:
    """Build and save one index of the corpus in a file."""
    encoder = Encoder(ModelPair.open(job["base"]).for_inference())
    encoder.encode(["One sentence, so that everything is loaded."] * 64)
    send(bytes=anonymous_bytes())
    while next_turn():
        folder = Path(job["folder"]) / "index"
        with Peak() as peak:
            started = time.perf_counter()
            index = SentenceIndex(read_corpus(Path(job["corpus"])))
            last_read = Clock()
            embed_corpus(index, encoder, last_read, partial=partial_folder(folder))
            read = last_read.at
            index.save(folder)
            saved = time.perf_counter()
        disk = sum(path.stat().st_size for path in folder.iterdir())
        send(read_seconds=read - started, build_seconds=saved - read, peak_bytes=peak.bytes, disk_bytes=disk)
    send()


def index_cost(sentences: list[str], count: int, base: Path, folder: Path) -> dict[str, Any]:
    """Return the cost of an index of `count` texts."""
    corpus, work = folder / f"{count}.txt", folder / str(count)
    with corpus.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in itertools.islice(itertools.cycle(sentences), count))
    work.mkdir()
    side = Side(__file__, "index", base=str(base), corpus=str(corpus), folder=str(work))
    found = {"texts": count, "bytes_before": side.ready["bytes"], **side.turn()}
    side.stop()
    return found


def whole_model(pair: ModelPair, sentences: list[str]) -> list[dict[str, Any]]:
    """Return the cost of encoding growing numbers of sentences with the complete model."""
    encoder = Encoder(pair.for_inference())
    encoder.encode(sentences[:64])
    found = []
    for count in WHOLE_MODEL:
        given = list(itertools.islice(itertools.cycle(sentences), count))
        started = time.perf_counter()
        encoder.encode(given)
        seconds = time.perf_counter() - started
        tokens = sum(len(encoder.pair.tokenizer(text).input_ids) for text in given)
        found.append({"sentences": count, "tokens": tokens, "seconds": seconds})
        print(found[-1], flush=True)
    return found


def main() -> int:
    """Measure, print and write."""
    if mine := as_side():
        index_side(mine[1])
        return 0
    args = parser().parse_args()
    sentences = list(read_corpus(args.data).texts)
    pair = ModelPair.open(DEFAULT_BASE)
    before = json.loads(args.json.read_text(encoding="utf-8")) if args.json and args.json.is_file() else {}
    result: dict[str, Any] = {
        "kind": "index-size",
        "indexes": before.get("indexes", []),
        "whole_model": before.get("whole_model") or whole_model(pair, sentences),
        "precision": str(pair.info.precision),
        "data": args.data.name,
        "base_model": DEFAULT_BASE,
    }
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "first-layer"
        model = standalone(pair, BASE)
        model.model.layers = model.model.layers[:1]
        model.config.num_hidden_layers = 1
        model.save_pretrained(base)
        pair.tokenizer.save_pretrained(base)
        for count in sorted({*args.counts} - {known["texts"] for known in result["indexes"]}):
            result["indexes"].append(index_cost(sentences, count, base, Path(folder)))
            print(result["indexes"][-1], flush=True)
            keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
