"""Measure paraphrases: how often a model copies, keeps the meaning, uses new words, or runs on."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sempa.config import EncoderConfig
from sempa.data.rows import read_rows, subsample, texts_of
from sempa.errors import InputError
from sempa.evaluation.facts import facts_kept
from sempa.evaluation.statistics import Cache, Measure, Outcomes, mcnemar, mean_percent, paired_figures, paired_t
from sempa.models.complete import Completion, complete
from sempa.models.pair import ModelPair
from sempa.templates import SentenceTemplate

Judge = Callable[[Sequence[str]], NDArray[np.float32]]
"""Independent encoder of N sentences to (N, D) unit rows."""

LONGEST = 64
"""Token limit of a paraphrase: over twice the longest sentence measured."""

MEASURES = {
    "copies": Measure("answers that repeat the sentence (%)", mean_percent, mcnemar, better=-1),
    "meaning": Measure("mean cosine to the sentence by the judge (x100)", mean_percent, paired_t),
    "facts": Measure("numbers, names and negations kept (%)", mean_percent, mcnemar),
    "new_words": Measure("mean share of the answer's words that are new (%)", mean_percent, paired_t),
    "runs_on": Measure("answers without an end, or twice as long (%)", mean_percent, mcnemar, better=-1),
}
ENDED = "new_words_ended"
"""New words over sentences on which no model runs on: surplus words are new but do not paraphrase."""


def paraphrase_figures(
    pair: ModelPair,
    sentences: Sequence[str],
    judge: Judge,
    report: Callable[[str], None],
    template: str = "P1",
    cache: Cache = lambda _, compute: compute(),
) -> dict[str, dict[str, Any]]:
    """Return each measure's figures by variant, over one greedy paraphrase per sentence.

    ENDED covers only sentences on which no variant runs on, and needs two of them. Changes are positive if the aligned
    model copies less, keeps more meaning and facts, uses more new words or runs on less.
    `cache` receives a request and the function that computes its outcomes, (measures, N).
    Raises: InputError for an unknown template.
    """
    asks = SentenceTemplate.paraphrase(template)
    requests = [asks.render(sentence) for sentence in sentences]
    scored = {}
    for variant in pair.variants:
        report(f"paraphrases, {variant}: {len(sentences):,} sentences.")

        def compute(variant: str = variant) -> Outcomes:
            found = _scores(sentences, complete(pair, variant, requests, LONGEST), judge)
            return np.stack([found[name] for name in MEASURES])

        model = asdict(pair.recipe(variant, EncoderConfig()))
        request = {"paraphrases": requests, "longest": LONGEST, "measures": list(MEASURES), "model": model}
        scored[variant] = dict(zip(MEASURES, cache(request, compute), strict=True))
    figures = {
        name: paired_figures({variant: found[name] for variant, found in scored.items()}, measure)
        for name, measure in MEASURES.items()
    }
    ended = ~np.any([found["runs_on"] for found in scored.values()], axis=0)
    if ended.sum() > 1:
        measure = Measure("share of new words where no answer runs on (%)", mean_percent, paired_t)
        figures[ENDED] = paired_figures(
            {variant: found["new_words"][ended] for variant, found in scored.items()}, measure
        )
    return figures


def _scores(sentences: Sequence[str], answers: Sequence[Completion], judge: Judge) -> dict[str, NDArray[np.float64]]:
    pairs = [(words_of(sentence), words_of(answer.text)) for sentence, answer in zip(sentences, answers, strict=True)]
    rows = judge([*sentences, *(answer.text for answer in answers)]).astype(np.float64)
    given, written = rows[: len(sentences)], rows[len(sentences) :]
    return {
        "copies": np.array([float(before == after) for before, after in pairs]),
        "meaning": (given * written).sum(axis=1),
        "facts": np.array([float(facts_kept(s, answer.text)) for s, answer in zip(sentences, answers, strict=True)]),
        "new_words": np.array([new_share(before, after) for before, after in pairs]),
        "runs_on": np.array(
            [
                float(not a.ended or len(after) > 2 * len(before))
                for a, (before, after) in zip(answers, pairs, strict=True)
            ]
        ),
    }


def words_of(text: str) -> list[str]:
    """Return a text's words, lower-cased, without punctuation."""
    return re.findall(r"\w+", text.lower())


def new_share(before: Sequence[str], after: Sequence[str]) -> float:
    """Return the share (0..1) of the words of `after` that are not in `before`."""
    return sum(word not in set(before) for word in after) / len(after) if after else 0.0


def read_sentences(path: Path, limit: int | None) -> list[str]:
    """Return the distinct first sentences of a TSV of sentence pairs; a limit takes every n-th.

    Raises: InputError if the file is missing, not UTF-8 or has no column `sentence1`.
    """
    cells = texts_of(read_rows(path), ("sentence1",), str(path))
    sentences = list(dict.fromkeys(sentence for (sentence,) in cells if sentence))
    if not sentences:
        raise InputError(f"{path} contains no sentences.")
    return list(subsample(sentences, limit))
