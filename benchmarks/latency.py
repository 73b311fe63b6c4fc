"""Measure one visitor's waiting time: one sentence under both models, and from the app's start to its first answer.

`python benchmarks/latency.py --json results/latency.json`. Encoding one sentence with both models, warm, alternates
with one plain forward of one model in transformers, without an adapter. The app starts as it does for a user, with all
downloads done, and gets its first request as soon as it listens.
"""

import argparse
import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from shared import keep, started_app

from sempa.config import DEFAULT_BASE
from sempa.embedding.encoder import Encoder
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import ModelPair
from sempa.models.source import locate
from sempa.templates import SentenceTemplate

SENTENCE = "The lamp is on the table."
STARTS = 3


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--rounds", type=int, default=30)
    made.add_argument("--json", type=Path)
    return made


def plain_forward(base: str, dtype: torch.dtype) -> Callable[[], object]:
    """Return a forward pass of the base model on the rendered sentence, without the LM head."""
    from transformers import AutoModel, AutoTokenizer

    source = locate(base).location
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModel.from_pretrained(source, dtype=dtype).eval()
    inputs = tokenizer(SentenceTemplate.embedding("prompteol").render(SENTENCE), return_tensors="pt")

    def forward() -> object:
        with torch.inference_mode():
            return model(**inputs, use_cache=False).last_hidden_state

    return forward


def one_sentence(base: str, rounds: int) -> dict[str, Any]:
    """Return the milliseconds of both, alternating."""
    encoder = Encoder(ModelPair.open(base, shipped_adapters(base)[0]).for_inference())
    ways: dict[str, Callable[[], object]] = {
        "both models": lambda: encoder.encode_each([SENTENCE]),
        "one plain forward": plain_forward(base, encoder.pair.dtype),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 3):
        for name, read in ways.items():
            started = time.perf_counter()
            read()
            if number >= 3:
                spent[name].append(1000 * (time.perf_counter() - started))
    ratios = [both / plain for both, plain in zip(*spent.values(), strict=True)]
    return {
        "milliseconds": {name: round(statistics.median(times), 1) for name, times in spent.items()},
        "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "precision": str(encoder.pair.info.precision),
    }


def from_start(base: str) -> dict[str, float]:
    """Return the seconds from `python app.py` until the app listens, and until its first answer."""
    body = json.dumps({"input": [SENTENCE], "model": "base"}).encode()
    with started_app("--base", base) as (address, listens):
        question = urllib.request.Request(
            f"{address}/v1/embeddings", data=body, headers={"Content-Type": "application/json"}
        )
        started = time.perf_counter()
        with urllib.request.urlopen(question, timeout=120) as answer:
            json.load(answer)
        return {"listens": round(listens, 2), "first_answer": round(listens + time.perf_counter() - started, 2)}


def main() -> int:
    """Measure, print and write."""
    args = parser().parse_args()
    starts = [from_start(args.base) for _ in range(STARTS)]
    result = {
        "kind": "latency",
        **one_sentence(args.base, args.rounds),
        "start_seconds": {name: statistics.median(start[name] for start in starts) for name in starts[0]},
        "starts": starts,
        "base_model": args.base,
    }
    print(json.dumps(result, indent=2))
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
