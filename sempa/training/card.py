"""The README of a trained adapter, drawn from the run's facts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sempa.config import DEFAULT_BASE, DEFAULT_PUBLISHED, DEFAULT_WEIGHTS, PLOT, TrainConfig
from sempa.models.source import can_be_hub_id
from sempa.percent import percent


def write_card(folder: Path, facts: Mapping[str, Any], config: TrainConfig) -> None:
    """Write `README.md` with model, data, settings and scores; nothing in it is typed by hand."""
    licence = f"license: {facts['license']}\n" if facts.get("license") else ""
    attribution = f"\n{facts['attribution']}\n" if facts.get("attribution") else ""
    summary, measure = config.summary(), facts["score_name"]
    mean = "mean_of" in facts
    rank, alpha = (facts["rank"], facts["rank"]) if mean else (config.lora_r, config.lora_alpha)
    told, scores = (_mean(facts), _runs(facts["mean_of"])) if mean else (_run(facts, config), _scores(facts))
    if (folder / PLOT).is_file():
        scores += f"\n\n![Loss and score over the samples seen]({PLOT})"
    sha256 = facts["data"]["sha256"]
    known = f" SHA-256 of the file: `{sha256}`." if sha256 else ""  # none of what the hub's client reads
    base, published = facts["base_model"], _published(facts["base_model"])
    of = f"base_model: {published}\n" if published else ""
    weights = f" The base's weights are those of {DEFAULT_WEIGHTS}." if base == DEFAULT_BASE else ""
    text = f"""---
{of}library_name: peft
tags: [sentence-embeddings, sempa, lora]
{licence}---

# SemPA adapter for {published or Path(base).name}

A LoRA adapter (rank {rank}, alpha {alpha}) {_OBJECTIVES[config.objective]}{_kept(config)}.{weights}

## Data
{facts["data"]["name"]}: {facts["data"]["summary"]}.{known}
{attribution}
## Settings
{summary[0].upper()}{summary[1:]}{told}{_strength(facts)}
The whole recipe is in `sempa.json`.

## Scores
{measure[0].upper()}{measure[1:]}. {scores}

## Use
```python
from sempa import Encoder

Encoder.default(base={json.dumps(base)}, adapter="PATH").encode(["A sentence."])
```
{_where(facts["mean_of"] if mean else [facts])}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


def _published(base: str) -> str | None:
    """Return what the hub calls a base model, which takes no paths as such; None for one that is a path."""
    if base == DEFAULT_BASE:
        return DEFAULT_PUBLISHED
    return base if can_be_hub_id(base) and not Path(base).exists() else None


_METHOD = "(after Chen et al., Findings of ACL 2026)"
_OBJECTIVES = {
    "sempa": "trained by semantic preference alignment: sentence-level DPO on paraphrases made of NLI triplets "
    f"{_METHOD}",
    "listwise": f"trained to rank paraphrases of NLI premises: entailment over neutral over contradiction {_METHOD}",
    "contrastive": "trained on NLI triplets to embed: cosines of one-word-prompt states, in-batch and hard negatives",
    "joint": f"trained on NLI triplets by paraphrase preference {_METHOD} and by cosines of one-word-prompt states",
    "spod": f"trained on NLI triplets by paraphrase preference {_METHOD} and by sparse codes of one-word-prompt states",
}


def _run(facts: Mapping[str, Any], config: TrainConfig) -> str:
    return f",\n{facts['samples']:,} samples seen, seed {config.seed}, {facts['precision']}."


def _mean(facts: Mapping[str, Any]) -> str:
    of = f".\nThe mean of the adapters of {len(facts['mean_of'])} such runs"
    if facts["kept"] == 1:
        return f"{of}."
    return f"{of}, brought to that rank, which keeps {percent(facts['kept'], 1)} of its square."


def _scores(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {point['samples']:,} | {point['score']:.2f} |" for point in facts["scores"])
    return f"""The kept checkpoint is the one at {facts["best"]["samples"]:,} samples.

| samples | score |
|---|---|
{rows}

The first row is the base model. Every step is in `metrics.jsonl`."""


def _runs(parts: Sequence[Mapping[str, Any]]) -> str:
    rows = "\n".join(
        f"| {part['seed']} | {part['best']['samples']:,} | {part['best']['score']:.2f} | {part['precision']} |"
        for part in parts
    )
    return f"""Each run's kept checkpoint before the mean:

| seed | samples | score | computed in |
|---|---|---|---|
| base model | 0 | {parts[0]["scores"][0]["score"]:.2f} |  |
{rows}

Every step is in `metrics-1.jsonl` to `metrics-{len(parts)}.jsonl`, in the rows' order."""


def _where(parts: Sequence[Mapping[str, Any]]) -> str:
    minutes = round(sum(part["seconds"] for part in parts) / 60)
    places = dict.fromkeys(f"{part['hardware']} with {part['versions']}" for part in parts)
    time = f"{minutes} minutes" if minutes > 1 else "a minute"
    return f"Trained in {time} on {'; '.join(places)}."


def _strength(facts: Mapping[str, Any]) -> str:
    if "strength" not in facts:
        return ""
    return f" Then scaled to {facts['strength']:g} of its strength; the scores below are those before."


def _kept(config: TrainConfig) -> str:
    return ", held to the base model's predictions on running text" if config.kl_weight else ""
