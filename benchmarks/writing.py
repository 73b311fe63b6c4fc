"""Compare tokens per second of generating for both models in one batch with two `generate` calls in turn; greedy.

`python benchmarks/writing.py --json results/writing.json` alternates the same requests between the two ways: one batch
with the app's model, and two calls with the model as PEFT loads it. In float32, both must generate the same tokens. In
the fast precision, a batch of two can round a near tie differently; such answers are counted.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from shared import keep

from sempa.config import DEFAULT_BASE
from sempa.models.adapters import shipped_adapters
from sempa.models.generate import Sampling, write
from sempa.models.pair import ModelPair
from sempa.models.prompts import request_ids
from sempa.templates import SentenceTemplate
from sempa.ui.chat import EXAMPLES as PROMPTS
from sempa.ui.paraphrase import EXAMPLES as SENTENCES


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--adapter", help="PEFT folder (default: the first that is shipped)")
    made.add_argument("--tokens", type=int, default=64, help="longest answer (default: %(default)s)")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--json", type=Path)
    return made


def at_once(pair: ModelPair, request: str, tokens: int) -> dict[str, str]:
    """Return both answers, generated in one batch as in the app."""
    *_, last = write(pair, request, Sampling(n=1, temperature=0, max_new_tokens=tokens))
    return {variant: texts[0] for variant, texts in last.items()}


def in_turn(pair: ModelPair, request: str, tokens: int) -> dict[str, str]:
    """Return both answers from transformers' own `generate`, one model after the other."""
    ids = torch.tensor([request_ids(pair.tokenizer, request)], device=pair.device)
    answers = {}
    for variant in pair.variants:
        with pair.using(variant) as model, torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                do_sample=False,
                eos_token_id=list(pair.stop_ids),
                pad_token_id=next(iter(pair.stop_ids)),
            )
        answers[variant] = pair.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()
    return answers


def differing(pair: ModelPair, plain: ModelPair, requests: list[str], tokens: int) -> int:
    """Return the number of answers that differ between the two ways."""
    return sum(
        at_once(pair, request, tokens)[variant] != text
        for request in requests
        for variant, text in in_turn(plain, request, tokens).items()
    )


def compared(pair: ModelPair, plain: ModelPair, requests: list[str], args: argparse.Namespace) -> dict[str, Any]:
    """Return both ways' tokens per second, alternating, their ratio, and the number of differing answers."""
    different = differing(pair, plain, requests, args.tokens)  # also warms up
    rounds = []
    for _ in range(args.rounds):
        rates = {}
        for name, writer, model in (("at once", at_once, pair), ("in turn", in_turn, plain)):
            started, written = time.perf_counter(), 0
            for request in requests:
                answers = writer(model, request, args.tokens)
                written += sum(len(pair.tokenizer(text).input_ids) for text in answers.values())
            rates[name] = written / (time.perf_counter() - started)
        rounds.append(rates)
        print({name: round(rate, 1) for name, rate in rates.items()}, flush=True)
    ratios = [rates["at once"] / rates["in turn"] for rates in rounds]
    return {
        "tokens_a_second": {name: round(statistics.median(r[name] for r in rounds), 1) for name in rounds[0]},
        "ratio": {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)},
        "different": different,
    }


def main() -> int:
    """Measure, print and write; return 1 if answers differ in float32."""
    args = parser().parse_args()
    adapter = args.adapter or shipped_adapters(args.base)[0]
    requests = [*PROMPTS, *(SentenceTemplate.paraphrase("P1").render(sentence) for sentence in SENTENCES)]
    pair, plain, exact, plain_exact = (
        ModelPair.open(args.base, adapter, precision=precision) for precision in ("auto", "auto", "float32", "float32")
    )
    result = {
        "kind": "writing",
        "fast": compared(pair.for_inference(), plain, requests, args),
        "float32": compared(exact.for_inference(), plain_exact, requests, args),
        "answers": 2 * len(requests),
        "longest_answer": args.tokens,
        "precision": str(pair.info.precision),
        "base_model": args.base,
        "adapter": pair.adapter and pair.adapter.name,
    }
    print(json.dumps(result, indent=2))
    keep(result, args.json)
    return int(result["float32"]["different"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
