"""Tables of time and memory: each figure under its head, ratios with their spread."""

from typing import Any

import pytest
from tables import drawn_table

WEAK = {"lambada_openai": 30, "wikitext": 38.1, "copies": 20, "meaning": 82, "new_words": 21}
RATIO = {"median": 1.96, "low": 1.5, "high": 2.25}
WAY = {"sentences_a_second": 40.04, "low": 39, "high": 41, "ratio": 1, "peak_bytes": 2**30, "sts": 73.804}
FOUND = {"p50_ms": 1.25, "p95_ms": 2, "bytes": 3 * 2**20, "build_seconds": 1.6}


@pytest.mark.parametrize(
    ("result", "head", "rows", "about"),
    [
        (
            {
                "kind": "encoding",
                "methods": {
                    "ours": WAY,
                    "another": WAY | {"sentences_a_second": 10, "low": 9, "high": 11, "ratio": 4.03, "sts": None},
                },
                "sts_data": "sts_raw/stsb-dev",
                "share_of_matrix_rate": 0.714,
                "sentences": 1_256,
                "data": "wiki.txt",
                "tokens_a_sentence": 40.5,
                "difference_float32": 2.34e-6,
            },
            ["method", "sentences per second", "ours is faster by", "peak memory", "sts_raw/stsb-dev"],
            [
                ["ours", "40.0 (39.0 to 41.0)", "", "1.0 GiB", "73.80"],
                ["another", "10.0 (9.0 to 11.0)", "4.0", "1.0 GiB", ""],
            ],
            "1,256 sentences of wiki.txt, 40.5 tokens each, prompt included; ours computes at 71% of the machine's "
            "matrix-product rate; in float32 ours differs from the paper's procedure by 2e-06 at most. a day.",
        ),
        (
            {
                "kind": "start",
                "models": {
                    "a": {
                        "first": {"seconds": 99.6, "peak_bytes": 9 * 2**30},
                        "later": [{"seconds": s, "peak_bytes": s * 2**30} for s in (3, 1, 2)],
                    }
                },
            },
            ["base", "first start, with download", "later starts", "peak memory"],
            [["a", "100 s", "2.0 s (1.0 to 3.0)", "3.0 GiB"]],
            "`sempa similarity` on two sentences, a process per start; median and range of later starts. a day.",
        ),
        (
            {
                "kind": "latency",
                "milliseconds": {"both models": 109.6, "one plain forward": 42.2},
                "ratio": RATIO,
                "start_seconds": {"listens": 6.31, "first_answer": 7.04},
            },
            ["one sentence, warm", ""],
            [
                ["both models", "110 ms"],
                ["one plain forward", "42 ms"],
                ["ratio", "2.0 (1.5 to 2.2)"],
                ["`python app.py` to the page", "6.3 s"],
                ["`python app.py` to the first answer", "7.0 s"],
            ],
            "Alternating; the app with everything downloaded before. a day.",
        ),
        (
            {
                "kind": "profiles",
                "paths": {
                    "reading": {"seconds": 1.234, "shares": {"matrix products": 0.7, "attention": 0.1}},
                    "writing": {"seconds": 0.5, "shares": {"attention": 0.25}},
                },
            },
            ["path", "takes", "matrix products", "attention", "rest"],
            [["reading", "1.23 s", "70%", "10%", "20%"], ["writing", "0.50 s", "0%", "25%", "75%"]],
            "Shares of the threads' time; the rest is Python and waiting. a day.",
        ),
        (
            {
                "kind": "dose",
                "doses": [
                    {"run": "base", "samples": 0, "sts": 71.909, "lambada_openai": 30, "wikitext": 38.1},
                    {"run": "joint", "samples": 2048, "seed": 43, "sts": 85.5, "lambada_openai": 29.5, "wikitext": 38},
                ],
                "items": 300,
                "pages": 10,
                "dev": ["sts/dev"],
            },
            ["run", "samples", "STS dev, Spearman x100", "LAMBADA (%)", "word perplexity"],
            [["base", "0", "71.91", "30.00", "38.10"], ["joint", "2,048", "85.50", "29.50", "38.00"]],
            "About 300 items of LAMBADA, 10 pages of WikiText-2; sts/dev; training seed 43. a day.",
        ),
        (
            {
                "kind": "adapter-scale",
                "adapter": {"name": "mine", "sha256": "ab"},
                "scales": {
                    "0": WEAK | {"sts": 71.909, "runs_on": 30},
                    "0.65": WEAK | {"sts": 79.95, "runs_on": 2.5},
                },
                "items": 300,
                "pages": 10,
                "sentences": 40,
                "dev": ["dev"],
            },
            [
                "scale of mine",
                "STS dev, Spearman x100",
                "LAMBADA (%)",
                "word perplexity",
                "copies (%)",
                "meaning kept (x100)",
                "new words (%)",
                "runs on (%)",
            ],
            [
                ["0%", "71.91", "30.00", "38.10", "20.00", "82.00", "21.00", "30.00"],
                ["65%", "79.95", "30.00", "38.10", "20.00", "82.00", "21.00", "2.50"],
            ],
            "About 300 items of LAMBADA, 10 pages of WikiText-2, 40 sentences of each file to paraphrase; dev. a day.",
        ),
        (
            {
                "kind": "writing",
                "fast": {"tokens_a_second": {"at once": 30.04, "in turn": 15}, "ratio": RATIO, "different": 3},
                "float32": {"tokens_a_second": {"at once": 20, "in turn": 10}, "ratio": RATIO, "different": 0},
                "answers": 16,
                "longest_answer": 64,
            },
            ["writing, tokens per second", "as it runs", "float32"],
            [
                ["both models at once, one batch", "30.0", "20.0"],
                ["transformers' generate, one model after the other", "15.0", "10.0"],
                ["ratio", "1.96 (1.50 to 2.25)", "1.96 (1.50 to 2.25)"],
                ["of 16 greedy answers differ", "3", "0"],
            ],
            "Up to 64 tokens per answer; answers differ where rounding decides a near tie. a day.",
        ),
        (
            {
                "kind": "search",
                "parts": {
                    "texts": {
                        "vectors": 20_014,
                        "exact": FOUND,
                        "approximate": FOUND | {"recall_at_10": 0.96},
                    }
                },
                "data": "captions",
                "threads": 2,
            },
            ["vectors", "search", "median", "95% within", "recall at 10", "memory", "built in"],
            [
                ["20,014", "exact", "1.2 ms", "2.0 ms", "1", "3 MiB", "2 s"],
                ["20,014", "approximate", "1.2 ms", "2.0 ms", "0.960", "3 MiB", "2 s"],
            ],
            "Real vectors of captions, then more drawn around them; one query at a time, 2 threads. a day.",
        ),
        (
            {
                "kind": "index-size",
                "indexes": [
                    {
                        "texts": 10_000,
                        "read_seconds": 12.5,
                        "build_seconds": 1.4,
                        "bytes_before": 2**29,
                        "peak_bytes": 2**30,
                        "disk_bytes": 2**24,
                    }
                ],
                "whole_model": [
                    {"sentences": 500, "tokens": 10_000, "seconds": 8.0},
                    {"sentences": 4_000, "tokens": 80_000, "seconds": 68.0},
                ],
                "base_model": "small",
                "data": "wiki.txt",
            },
            ["texts", "time to encode 1,000", "index built in", "memory before", "at most", "index on disk"],
            [["10,000", "1.25 s", "1 s", "512 MiB", "1,024 MiB", "16 MiB"]],
            "Encoded by the first layer of small alone; the complete model takes 0.80 to 0.85 s per 1,000 tokens of "
            "text for 500 to 4,000 sentences of wiki.txt. a day.",
        ),
        (
            {"kind": "visitor", "seconds": {"started": 6.04, "answered": 1.0}, "total": 7.04},
            ["a first visitor's path", ""],
            [["started", "6.0 s"], ["answered", "1.0 s"], ["all", "7.0 s"]],
            "In Chromium on the same machine. a day.",
        ),
    ],
    ids=lambda given: given.get("kind") if isinstance(given, dict) else "",
)
def test_every_figure_is_shown(result: dict[str, Any], head: list[str], rows: list[list[str]], about: str) -> None:
    table = drawn_table(result | {"date": "a day"})
    assert table.head == head
    assert table.rows == rows
    assert table.about == about
