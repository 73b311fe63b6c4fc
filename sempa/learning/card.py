"""The README of a trained adapter, drawn from the run's facts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sempa.config import TrainConfig


def write_card(folder: Path, facts: Mapping[str, Any], config: TrainConfig) -> None:
    """Write `README.md` with model, data, settings and scores; nothing in it is typed by hand."""
    history: Sequence[Mapping[str, Any]] = facts["scores"]
    rows = "\n".join(f"| {point['samples']:,} | {point['score']:.2f} |" for point in history)
    licence = f"license: {facts['license']}\n" if facts.get("license") else ""
    attribution = f"\n{facts['attribution']}\n" if facts.get("attribution") else ""
    summary, measure = config.summary(), facts["score_name"]
    text = f"""---
base_model: {facts["base_model"]}
library_name: peft
tags: [sentence-embeddings, sempa, lora]
{licence}---

# SemPA adapter for {facts["base_model"]}

A LoRA adapter (rank {config.lora_r}, alpha {config.lora_alpha}) {_OBJECTIVES[config.objective]}{_kept(config)}.

## Data
{facts["data"]["name"]}: {facts["data"]["summary"]}. SHA-256 of the file: `{facts["data"]["sha256"]}`.
{attribution}
## Settings
{summary[0].upper()}{summary[1:]},
{facts["samples"]:,} samples seen, seed {config.seed}, {facts["precision"]}.{_strength(facts)}
The whole recipe is in `sempa.json`.

## Scores
{measure[0].upper()}{measure[1:]}. The kept checkpoint is the one at {facts["best"]["samples"]:,} samples.

| samples | score |
|---|---|
{rows}

The first row is the base model. Every step is in `metrics.jsonl`.

![Loss and score over the samples seen](training.png)

## Use
```python
from sempa import Encoder

Encoder.default(base={json.dumps(facts["base_model"])}, adapter="PATH").encode(["A sentence."])
```
Trained in {facts["seconds"] / 60:.0f} minutes on {facts["hardware"]} with {facts["versions"]}.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")


_METHOD = "(after Chen et al., Findings of ACL 2026)"
_OBJECTIVES = {
    "sempa": "trained by semantic preference alignment: sentence-level DPO on paraphrases made of NLI triplets "
    f"{_METHOD}",
    "listwise": f"trained to rank paraphrases of NLI premises: entailment over neutral over contradiction {_METHOD}",
    "contrastive": "trained on NLI triplets to embed: cosines of one-word-prompt states, in-batch and hard negatives",
    "joint": f"trained on NLI triplets by paraphrase preference {_METHOD} and by cosines of one-word-prompt states",
    "spod": f"trained on NLI triplets by paraphrase preference {_METHOD} and by sparse codes of one-word-prompt states",
}


def _strength(facts: Mapping[str, Any]) -> str:
    if "strength" not in facts:
        return ""
    return f" Then scaled to {facts['strength']:g} of its strength; the scores below are those before."


def _kept(config: TrainConfig) -> str:
    return ", held to the base model's predictions on running text" if config.keep_weight else ""
