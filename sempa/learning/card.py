"""The README of a trained adapter, drawn from the run's facts."""

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
    text = f"""---
base_model: {facts["base_model"]}
library_name: peft
tags: [sentence-embeddings, sempa, dpo, lora]
{licence}---

# SemPA adapter for {facts["base_model"]}

A LoRA adapter (rank {config.lora_r}, alpha {config.lora_alpha}) trained by semantic preference alignment:
sentence-level DPO on paraphrase preferences made of NLI triplets (Chen et al., Findings of ACL 2026).

## Data
{facts["data"]["name"]}: {facts["data"]["summary"]}. SHA-256 of the file: `{facts["data"]["sha256"]}`.
{attribution}
## Settings
Paraphrase template {config.template}, beta {config.beta}, peak learning rate {config.lr},
{config.batch_size} pairs a step, {facts["samples"]:,} samples seen, seed {config.seed}, {facts["precision"]}.
The whole recipe is in `sempa.json`.

## Scores
{facts["score_name"]}. The kept checkpoint is the one at {facts["best"]["samples"]:,} samples.

| samples | score |
|---|---|
{rows}

The first row is the base model. Every step is in `metrics.jsonl`.

## Use
```python
from sempa import Encoder
Encoder.default(base={facts["base_model"]!r}, adapter="PATH").encode(["A sentence."])
```
Trained in {facts["seconds"] / 60:.0f} minutes on {facts["hardware"]} with {facts["versions"]}.
"""
    (folder / "README.md").write_text(text, encoding="utf-8")
