"""Do other engines compute the same from what `sempa export` writes, and how fast?

`python benchmarks/engines.py --data stsb-dev.tsv --json results/engines.json` exports the default model with the
adapter `sempa`, and runs it in llama.cpp, ONNX Runtime and OpenVINO: vectors and Spearman correlation of the first
`--pairs` pairs, and greedy answers where the engine writes. Each engine runs in an environment of its own, made once
from the pinned packages below in the cache folder. Rows already in the JSON are skipped.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from shared import ROOT, earlier_result, keep

from sempa import Encoder
from sempa.data.scored_pairs import ScoredPairs, read_scored_pairs
from sempa.embedding.export import export_sentence_transformers
from sempa.embedding.gguf_export import export_gguf, export_gguf_adapter
from sempa.evaluation.sts import sts_spearman
from sempa.files import cache_folder
from sempa.models.generate import Sampling, write
from sempa.models.prompts import request_text
from sempa.templates import SentenceTemplate, tidy_sentence

Rows = NDArray[np.float32]
PACKAGES = {
    "llama.cpp": ["xllamacpp==2026.10.11549"],
    "OpenVINO": ["torch==2.14.1", "torchvision==0.29.1", "sentence-transformers[openvino]==6.2.0"],
    "ONNX Runtime": ["torch==2.13.0", "sentence-transformers[onnx]==5.7.0"],
}
"""What each engine's environment is made of; optimum-onnx needs a transformers that sentence-transformers 6 refuses."""
ADAPTER = "sempa"
REQUESTS = (
    "What is the capital of France?",
    "Name three fruits.",
    "Write one sentence about the sea.",
    "Why is the sky blue?",
    "Translate 'good morning' into Spanish.",
    "What do bees make?",
    "Give a synonym of 'happy'.",
    "Finish the proverb: better late than",
)


class Way(NamedTuple):
    """One way to run one variant: its engine, the export command's options, and the file or folder that they give."""

    engine: str
    options: str
    variant: str = "sempa"
    scale: float | None = None


WAYS = [
    Way("llama.cpp", "--to gguf --dtype float32"),
    Way("llama.cpp", "--to gguf --dtype bfloat16"),
    Way("llama.cpp", "--to gguf --dtype float16"),
    Way("llama.cpp", "--to gguf --dtype q8_0"),
    Way("llama.cpp", "--to gguf-adapter", "base", 0.0),
    Way("llama.cpp", "--to gguf-adapter", "sempa", 1.0),
    Way("ONNX Runtime", "--to sentence-transformers --framed"),
    Way("OpenVINO", "--to sentence-transformers"),
]


def environment(engine: str) -> Path:
    """Return the Python of an engine's environment, made on first use."""
    packages = PACKAGES[engine]
    made = hashlib.sha256(" ".join((*packages, sys.version)).encode()).hexdigest()[:12]
    folder = cache_folder() / "engines" / f"{engine.replace(' ', '-').lower()}-{made}"
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "installed").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "installed").touch()
    return python


def run_in(engine: str, script: str, **job: Any) -> list[dict[str, Any]]:
    """Run one of the scripts `engine_*.py` in an engine's environment and return its answer."""
    python = environment(engine)
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        given = json.dumps({**job, "answer": str(answer)})
        done = subprocess.run(
            [python, ROOT / "benchmarks" / script], input=given, capture_output=True, text=True, check=False
        )
        if not answer.is_file():
            raise RuntimeError(f"{engine} ended early: {done.stderr[-1000:]}")
        return list(json.loads(answer.read_text(encoding="utf-8")))


def complete_prompts(encoder: Encoder, sentences: Sequence[str]) -> list[str]:
    """Return the prompts that a client of an engine without templates sends."""
    frame = SentenceTemplate.embedding(encoder.config.template)
    return [frame.render(tidy_sentence(sentence)) for sentence in sentences]


def our_answers(encoder: Encoder, variant: str) -> list[str]:
    """Return the model's own greedy answers to REQUESTS."""
    greedy = Sampling(temperature=0, max_new_tokens=32)
    return [list(write(encoder.pair, request, greedy, [variant]))[-1][variant][0] for request in REQUESTS]


def llama_cpp(way: Way, encoder: Encoder, sentences: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return what llama.cpp computes of one way."""
    model, adapter = folder / "model.gguf", None
    if way.scale is None:
        export_gguf(encoder, model, way.variant, way.options.split()[-1])
    else:
        adapter = folder / "adapter.gguf"
        export_gguf(encoder, model, "base")
        export_gguf_adapter(encoder, adapter)
    prompts = [request_text(encoder.pair.tokenizer, request) for request in REQUESTS]
    part = {"texts": complete_prompts(encoder, sentences), "prompts": prompts, "scale": way.scale}
    given: dict[str, Any] = {"model": str(model), "threads": torch.get_num_threads(), "parts": [part]}
    return run_in("llama.cpp", "engine_llama_cpp.py", **given, adapter=adapter and str(adapter))[0]


def backend(way: Way, encoder: Encoder, sentences: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return what a backend of sentence-transformers computes of one way."""
    export_sentence_transformers(encoder, folder / "exported", way.variant, framed="--framed" in way.options)
    name = {"ONNX Runtime": "onnx", "OpenVINO": "openvino"}[way.engine]
    given = {"folder": str(folder / "exported"), "backend": name, "texts": list(sentences)}
    return run_in(way.engine, "engine_exported.py", **given)[0]


def compared(way: Way, found: dict[str, Any], ours: dict[str, Any], pairs: ScoredPairs) -> dict[str, Any]:
    """Return the figures of one way beside ours."""
    rows, known = np.array(found["vectors"], np.float32), ours["rows"]
    cosines = np.sum(rows * known, axis=1) / np.linalg.norm(rows, axis=1)
    of = dict(zip(ours["sentences"], rows, strict=True))
    row = {
        **way._asdict(),
        "packages": PACKAGES[way.engine],
        "cosine_least": float(cosines.min()),
        "cosine_mean": float(cosines.mean()),
        "sts": sts_spearman(lambda texts: np.stack([of[text] for text in texts]), pairs),
        "sts_ours": ours["sts"],
        "sentences_a_second": len(rows) / found["seconds"],
        "sentences_a_second_ours": ours["sentences_a_second"],
    }
    if "written" in found:
        same = [mine == theirs.strip() for mine, theirs in zip(ours["written"], found["written"], strict=True)]
        row |= {"answers": len(same), "answers_equal": sum(same)}
    return row


def our_figures(encoder: Encoder, variant: str, pairs: ScoredPairs, sentences: Sequence[str]) -> dict[str, Any]:
    """Return vectors, correlation, speed and answers of the encoder itself."""
    encoder.encode(sentences[:16], variant)
    started = time.perf_counter()
    rows = encoder.encode(sentences, variant)
    speed = len(sentences) / (time.perf_counter() - started)
    of = dict(zip(sentences, rows, strict=True))
    sts = sts_spearman(lambda texts: np.stack([of[text] for text in texts]), pairs)
    written = our_answers(encoder, variant)
    return {"rows": rows, "sentences": sentences, "sts": sts, "sentences_a_second": speed, "written": written}


def measured(encoder: Encoder, pairs: ScoredPairs, ways: Sequence[Way]) -> Iterator[dict[str, Any]]:
    """Yield the figures of each way."""
    sentences = list(dict.fromkeys((*pairs.first, *pairs.second)))
    ours = {variant: our_figures(encoder, variant, pairs, sentences) for variant in {way.variant for way in ways}}
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            run = llama_cpp if way.engine == "llama.cpp" else backend
            yield compared(way, run(way, encoder, sentences, Path(folder)), ours[way.variant], pairs)


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="table with the columns score, sentence1, sentence2")
    made.add_argument("--pairs", type=int, default=300, help="first pairs to use (default: %(default)s)")
    made.add_argument("--engine", choices=PACKAGES, help="measure only this one")
    made.add_argument("--json", type=Path, required=True)
    return made


def main() -> int:
    """Measure, print and write."""
    args = parser().parse_args()
    known = read_scored_pairs(args.data)
    pairs = ScoredPairs(known.name, *(part[: args.pairs] for part in (known.first, known.second, known.scores)))
    conditions = {"kind": "engines", "data": pairs.name, "pairs": len(pairs.scores)}
    rows = earlier_result(args.json, **conditions).get("ways", [])
    done = {tuple(row[name] for name in Way._fields) for row in rows}
    encoder = Encoder.default(adapter=ADAPTER)
    missing = [way for way in WAYS if way not in done and args.engine in (None, way.engine)]
    for row in measured(encoder, pairs, missing):
        print(row, flush=True)
        rows.append(row)
        rows.sort(key=lambda one: WAYS.index(Way(*(one[name] for name in Way._fields))))
        keep({**conditions, "precision": str(encoder.pair.info.precision), "ways": rows}, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
