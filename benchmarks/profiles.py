"""Profile each path by kind of operation: encoding many sentences, encoding one, generation, one training step.

`python benchmarks/profiles.py --data SENTENCES.txt --triplets TRIPLETS.csv --json results/profiles.json` runs each path
under torch's profiler, with all threads. The operations' own CPU time is summed by kind; the rest of the threads' time
is spent outside operations, in Python and waiting.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shared import keep
from torch.profiler import ProfilerActivity, profile

from sempa.config import DEFAULT_BASE, RECIPES
from sempa.data.corpora import read_corpus
from sempa.data.rows import subsample
from sempa.data.triplets import read_triplets
from sempa.embedding.encoder import Encoder
from sempa.models.adapters import shipped_adapters
from sempa.models.generate import Sampling, write
from sempa.models.pair import ModelPair
from sempa.training.examples import tokenize
from sempa.training.objectives import Objective
from sempa.training.policy import PolicyModel
from sempa.training.preferences import preferences

KINDS = {
    "matrix products": ("mm", "addmm", "linear", "mkldnn_linear", "_linear_pointwise", "_addmm_activation"),
    "attention": ("bmm", "baddbmm", "_softmax", "_scaled_dot_product", "_softmax_backward"),
    "copies and casts": ("copy_", "cat", "clone", "index", "gather", "scatter", "embedding", "_to_copy"),
}
SENTENCES, TOKENS, PAIRS = 128, 48, 32


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="sentences, one per line")
    made.add_argument("--triplets", type=Path, required=True)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--json", type=Path)
    return made


def _kind(name: str) -> str:
    bare = name.removeprefix("aten::").removeprefix("mkldnn::")
    return next((kind for kind, starts in KINDS.items() if bare.startswith(starts)), "elementwise and other")


def profiled(run: Callable[[], object], threads: int) -> dict[str, Any]:
    """Return a run's seconds without the profiler, and each kind of operation's share with it."""
    run()  # warms up
    started = time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    everywhere = torch._C._profiler._ExperimentalConfig(profile_all_threads=True)
    with profile(activities=[ProfilerActivity.CPU], experimental_config=everywhere) as seen:
        started = time.perf_counter()
        run()
        had = (time.perf_counter() - started) * threads
    spent: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        spent[_kind(event.key)] += event.self_cpu_time_total / 1e6
    # An operation that uses other cores too counts for its own thread only: the others seem to wait.
    shares = {kind: round(time / had, 3) for kind, time in sorted(spent.items(), key=lambda item: -item[1])}
    return {"seconds": round(seconds, 3), "threads": threads, "shares": shares}


def main() -> int:
    """Profile, print and write."""
    args = parser().parse_args()
    lines = read_corpus(args.data).texts
    sentences = list(subsample(lines, SENTENCES))
    pair = ModelPair.open(args.base, shipped_adapters(args.base)[0]).for_inference()
    encoder, threads = Encoder(pair), pair.workers.count
    sampling = Sampling(n=1, temperature=0, max_new_tokens=TOKENS)
    config = RECIPES["small"]
    tuning = PolicyModel(ModelPair.open(args.base), config)
    triplets, _ = read_triplets(args.triplets)
    examples, _ = tokenize(pair.tokenizer, preferences(triplets[:PAIRS], config), config.max_length)
    objective = Objective(tuning, examples, config)
    paths: dict[str, tuple[Callable[[], object], int]] = {
        f"{len(sentences)} sentences, aligned model": (lambda: encoder.encode(sentences, "sempa"), threads),
        "one sentence, both models": (lambda: encoder.encode_each(sentences[:1]), 1),
        f"both models writing {TOKENS} tokens": (lambda: list(write(pair, sentences[0], sampling)), 1),
        f"one training step of {PAIRS} pairs": (lambda: objective.backward(examples), threads),
    }
    result = {
        "kind": "profiles",
        "paths": {name: profiled(run, count) for name, (run, count) in paths.items()},
        "precision": str(pair.info.precision),
        "data": [args.data.name, args.triplets.name],
        "base_model": args.base,
    }
    print(json.dumps(result, indent=2))
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
