"""Measure sentences per second with PromptEOL: this project, the paper's procedure, sentence-transformers and llemb.

Each method runs in its own process; in each round, the methods take turns to encode the same sentences. The paper's
procedure follows its description: float32, left padding, LM head and all hidden states computed, batches of 16.
sentence-transformers uses the same weights and rendered prompts, last-token pooling and its default batches of 32, in
float32 and in bfloat16 (its default if the weights are stored in bfloat16). In float32, this project must reproduce the
vectors of the paper's procedure.

`python benchmarks/encoding.py --data SENTENCES.txt --sts STSB-DEV.tsv --json results/encoding.json`; llemb is measured
if installed.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shared import Side, as_side, keep, matrix_rate, next_turn, peak_bytes, send

from sempa.config import DEFAULT_BASE, EncoderConfig
from sempa.data.corpora import read_corpus
from sempa.data.rows import subsample
from sempa.data.scored_pairs import read_scored_pairs
from sempa.embedding.encoder import Encoder
from sempa.evaluation.sts import sts_spearman
from sempa.models.pair import BASE, ModelPair
from sempa.models.source import locate
from sempa.templates import SentenceTemplate, tidy_sentence

Encode = Callable[[Sequence[str]], np.ndarray]
PAPER_BATCH = 16
AGREE = 1e-5


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", type=Path, required=True, help="sentences, one per line")
    made.add_argument("--limit", type=int, default=256, help="about so many of them (default: %(default)s)")
    made.add_argument("--sts", type=Path, help="scored pairs that the fast precision must score alike")
    made.add_argument("--base", default=DEFAULT_BASE)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--json", type=Path)
    return made


def ours(precision: str, base: str) -> Encode:
    """Return this project's encoder."""
    encoder = Encoder(ModelPair.open(base, precision=precision).for_inference())
    return lambda sentences: encoder.encode(sentences, BASE)


def _rendered(sentences: Sequence[str]) -> list[str]:
    template = SentenceTemplate.embedding(EncoderConfig().template)
    return [template.render(tidy_sentence(sentence)) for sentence in sentences]


def paper(base: str) -> Encode:
    """Return the paper's procedure."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = locate(base).location
    tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()

    def encode(sentences: Sequence[str]) -> np.ndarray:
        prompts, rows = _rendered(sentences), []
        for start in range(0, len(prompts), PAPER_BATCH):
            inputs = tokenizer(prompts[start : start + PAPER_BATCH], padding=True, return_tensors="pt")
            with torch.no_grad():
                states = model(**inputs, output_hidden_states=True, return_dict=True).hidden_states[-1][:, -1]
            rows.append(torch.nn.functional.normalize(states, dim=-1).numpy())
        return np.concatenate(rows)

    return encode


def sentence_transformers(dtype: str, base: str) -> Encode:
    """Return sentence-transformers' own modules on the same weights, with its default batch size."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    transformer = modules.Transformer(str(locate(base).location), model_kwargs={"dtype": getattr(torch, dtype)})
    if transformer.tokenizer.pad_token is None:
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
    pooling = modules.Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    library = SentenceTransformer(modules=[transformer, pooling, modules.Normalize()], device="cpu")
    return lambda sentences: np.asarray(library.encode(_rendered(sentences), show_progress_bar=False))


def llemb(base: str) -> Encode:
    """Return llemb's encoder with its PromptEOL template and defaults, but the paper's batch size."""
    from llemb import Encoder as Theirs

    theirs = Theirs(str(locate(base).location), device="cpu")

    def encode(sentences: Sequence[str]) -> np.ndarray:
        rows = theirs.encode(list(sentences), prompt_template="prompteol", batch_size=PAPER_BATCH)
        return torch.nn.functional.normalize(rows.float(), dim=-1).numpy()

    return encode


PAPERS = "the paper's procedure (float32)"
METHODS: dict[str, Callable[[str], Encode]] = {
    "ours": lambda base: ours("auto", base),
    "ours, float32": lambda base: ours("float32", base),
    PAPERS: paper,
    "sentence-transformers, float32": lambda base: sentence_transformers("float32", base),
    "sentence-transformers, bfloat16": lambda base: sentence_transformers("bfloat16", base),
    "llemb": llemb,
}


def _sentences(path: Path, limit: int) -> list[str]:
    lines = read_corpus(path).texts
    return list(subsample(lines, limit))


def side(method: str, job: dict[str, Any]) -> None:
    """Encode the sentences at every turn; write the first rows to a file for comparison."""
    encode = METHODS[method](job["base"])
    sentences = _sentences(Path(job["data"]), job["limit"])
    np.save(job["rows"], encode(sentences[:64]))  # also warms up
    send(sts=sts_spearman(encode, read_scored_pairs(Path(job["sts"]))) if job.get("sts") else None)
    while next_turn():
        started = time.perf_counter()
        encode(sentences)
        send(seconds=time.perf_counter() - started)
    send(peak_bytes=peak_bytes())


def main() -> int:
    """Measure, print and write; return 1 if the vectors disagree."""
    if mine := as_side():
        side(*mine)
        return 0
    args = parser().parse_args()
    sentences = _sentences(args.data, args.limit)
    methods = [method for method in METHODS if method != "llemb" or importlib.util.find_spec("llemb")]
    with tempfile.TemporaryDirectory() as folder:
        kept = {method: str(Path(folder) / f"{number}.npy") for number, method in enumerate(methods)}
        sides = {}
        for method in methods:  # one at a time, so that they do not slow each other
            sts = {"sts": str(args.sts)} if args.sts and method.startswith("ours") else {}
            job = {"base": args.base, "data": str(args.data), "limit": args.limit, "rows": kept[method], **sts}
            sides[method] = Side(__file__, method, **job)
            print(method, sides[method].ready, flush=True)
        rounds = []
        for _ in range(args.rounds):
            rounds.append({method: len(sentences) / one.turn()["seconds"] for method, one in sides.items()})
            print({method: round(rate, 1) for method, rate in rounds[-1].items()}, flush=True)
        peaks = {method: one.stop()["peak_bytes"] for method, one in sides.items()}
        rows = {method: np.load(path) for method, path in kept.items()}
    pair = ModelPair.open(args.base)
    with pair.using(BASE) as model:
        head = model.get_output_embeddings().weight.numel()
    tokens = sum(len(pair.tokenizer(prompt).input_ids) for prompt in _rendered(sentences)) / len(sentences)
    needed = 2 * tokens * (pair.info.parameters - head)
    rate = matrix_rate(str(pair.dtype).removeprefix("torch."), "cpu")
    speed = {method: statistics.median(one[method] for one in rounds) for method in methods}
    off = float(np.abs(rows["ours, float32"] - rows[PAPERS]).max())
    result = {
        "kind": "encoding",
        "methods": {
            method: {
                "sentences_a_second": round(speed[method], 2),
                "low": round(min(one[method] for one in rounds), 2),
                "high": round(max(one[method] for one in rounds), 2),
                "ratio": round(statistics.median(one["ours"] / one[method] for one in rounds), 2),
                "peak_bytes": peaks[method],
                "sts": sides[method].ready["sts"] and round(sides[method].ready["sts"], 2),
            }
            for method in methods
        },
        "sentences": len(sentences),
        "tokens_a_sentence": round(tokens, 1),
        "operations_a_sentence": needed,
        "matrix_rate": rate,
        "share_of_matrix_rate": round(speed["ours"] * needed / rate, 3),
        "difference_float32": off,
        "data": args.data.name,
        "sts_data": args.sts and f"{args.sts.parent.name}/{args.sts.stem}",
        "precision": str(pair.info.precision),
        "base_model": args.base,
    }
    print(json.dumps({key: result[key] for key in ("methods", "share_of_matrix_rate", "difference_float32")}, indent=2))
    keep(result, args.json)
    if off > AGREE:
        print(f"The vectors differ by {off:.2g}, more than {AGREE:.0e}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
