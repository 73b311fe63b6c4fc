"""Facts about a trained adapter, and the model card written from them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sempa.config import RUN_FACTS, TrainConfig
from sempa.models.named import NAMED, licence_of
from sempa.models.source import can_be_hub_id


def write_facts(folder: Path, facts: Mapping[str, Any], config: TrainConfig) -> None:
    """Write `training.json` and the model card `README.md`, which lists model, data, settings and scores."""
    (folder / RUN_FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    attribution = f"\n{facts['attribution']}\n" if facts.get("attribution") else ""
    summary, measure = config.summary(), facts["score_name"]
    if "averaged_from" in facts:
        runs, rank, alpha = facts["averaged_from"], facts["rank"], facts["rank"]
        settings, scores = f".\n{_averaging(facts)}", _scores_of_runs(runs)
    else:
        runs, rank, alpha = [facts], config.lora_r, config.lora_alpha
        settings = (
            f".\n{_start(facts)} on {facts['samples']:,} triplets with seed {config.seed} in {facts['precision']}."
        )
        scores = _scores(facts)
    if "scale" in facts:
        settings += (
            f" The adapter was then scaled to {facts['scale']:g}; the scores below were measured before scaling."
        )
    sha256 = facts["data"]["sha256"]  # None for a hub data set
    digest = f" SHA-256 of the file: `{sha256}`." if sha256 else ""
    base, published, named = facts["base_model"], _published(facts["base_model"]), NAMED.get(facts["base_model"])
    base_model = f"base_model: {published}\n" if published else ""
    licence = facts.get("license") or licence_of(base)
    licence_line = f"license: {licence}\n" if licence else ""
    weights = f" The base's weights are {named.weights}." if named else ""
    terms = f"\n\n{named.terms}" if named and named.terms else ""
    kept_near = ", under a KL penalty towards the base model on plain text" if config.kl_weight else ""
    text = f"""---
{base_model}library_name: peft
tags: [sentence-embeddings, sempa, lora]
{licence_line}---

# SemPA adapter for {published or Path(base).name}

A LoRA adapter (rank {rank}, alpha {alpha}) {_OBJECTIVES[config.objective]}{kept_near}.{weights}{terms}

## Data
{facts["data"]["name"]}: {facts["data"]["summary"]}.{digest}
{attribution}
## Settings
{summary[0].upper()}{summary[1:]}{settings}
The complete recipe is in `sempa.json`.

## Scores
{measure[0].upper()}{measure[1:]}. {scores}

## Use
```python
from sempa import Encoder

Encoder.default(base={json.dumps(base)}, adapter="PATH").encode(["A sentence."])
```
{_hardware(runs)}
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


def _published(base: str) -> str | None:
    """Return the hub id of a base model for the card's metadata; None for a local path."""
    if base in NAMED:
        return NAMED[base].published
    return base if can_be_hub_id(base) and not Path(base).exists() else None


_METHOD = "(after Chen et al., Findings of ACL 2026)"
_OBJECTIVES = {
    "dpo": f"trained by semantic preference alignment: sentence-level DPO on paraphrases from NLI triplets {_METHOD}",
    "listwise": f"trained to rank paraphrases of NLI premises: entailment over neutral over contradiction {_METHOD}",
    "contrastive": "trained on NLI triplets by contrastive learning: cosines of one-word-prompt embeddings, with "
    "in-batch and hard negatives",
    "joint": f"trained on NLI triplets by paraphrase preference {_METHOD} and contrastive learning together",
}


def _start(facts: Mapping[str, Any]) -> str:
    if start := facts.get("started_from"):
        return f"Training continued from `{start['name']}` (SHA-256 of its weights: `{start['sha256']}`)"
    return "Trained"


def _averaging(facts: Mapping[str, Any]) -> str:
    average = f"The adapter is the weight average of {len(facts['averaged_from'])} such runs"
    if facts["energy_kept"] == 1:
        return f"{average}."
    return f"{average}. Its reduction to rank {facts['rank']} keeps {facts['energy_kept']:.1%} of its squared norm."


def _scores(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {point['samples']:,} | {point['score']:.2f} |" for point in facts["scores"])
    return f"""The adapter is the checkpoint after {facts["best"]["samples"]:,} triplets.

| triplets | score |
|---|---|
{rows}

The first row is the base model. `metrics.jsonl` logs every step."""


def _scores_of_runs(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = "\n".join(
        f"| {run['seed']} | {run['best']['samples']:,} | {run['best']['score']:.2f} | {run['precision']} |"
        for run in runs
    )
    return f"""Each run's best checkpoint, before averaging:

| seed | triplets | score | precision |
|---|---|---|---|
| base model | 0 | {runs[0]["scores"][0]["score"]:.2f} |  |
{rows}

`metrics-1.jsonl` to `metrics-{len(runs)}.jsonl` log every step, in the order of these rows."""


def _hardware(runs: Sequence[Mapping[str, Any]]) -> str:
    minutes = round(sum(run["seconds"] for run in runs) / 60)
    places = dict.fromkeys(f"{run['hardware']} with {run['versions']}" for run in runs)
    return f"Trained in {f'{minutes} minutes' if minutes > 1 else 'a minute'} on {'; '.join(places)}."
