"""Scaled and averaged adapters, with the training facts of their sources."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sempa.config import METRICS, RUN_FACTS, Recipe, TrainConfig
from sempa.files import atomic_folder, sha256_of
from sempa.models.adapters import WEIGHTS_FILE
from sempa.models.combine import write_average, write_scaled
from sempa.training.card import write_facts


def scaled(adapter: str, output: Path, scale: float) -> None:
    """Write a scaled copy of an adapter and its training facts into a new folder.

    Raises: InputError if the folder exists; what `write_scaled` raises; StorageError if the disk refuses.
    """
    with atomic_folder(output, "The adapter") as aside:
        source = write_scaled(adapter, aside, scale)
        for path in source.glob(METRICS.replace(".", "*.")):
            shutil.copy(path, aside / path.name)
        if known := _training(source):
            facts, config = known
            write_facts(aside, {**facts, "scale": scale * facts.get("scale", 1.0)}, config)


def average(adapters: Sequence[str], output: Path, rank: int | None = None) -> None:
    """Write the weight average of adapters into a new folder, with the facts of each run.

    The runs' metrics become `metrics-1.jsonl`, `metrics-2.jsonl` and so on. The recipe is that of the first adapter.
    Raises: InputError if the folder exists; what `write_average` raises; StorageError if the disk refuses.
    """
    with atomic_folder(output, "The adapter") as aside:
        sources, size, kept = write_average(adapters, aside, rank)
        for number, source in enumerate(sources, 1):
            if (source / METRICS).is_file():
                shutil.copy(source / METRICS, aside / METRICS.replace(".", f"-{number}."))
        known = [found for source in sources if (found := _training(source))]
        if len(known) == len(sources):
            parts = [
                {**facts, "seed": config.seed, "sha256": sha256_of(source / WEIGHTS_FILE)}
                for source, (facts, config) in zip(sources, known, strict=True)
            ]
            facts, config = known[0]
            facts = {name: fact for name, fact in facts.items() if name != "scale"}  # applies to the part only
            write_facts(aside, {**facts, "averaged_from": parts, "rank": size, "energy_kept": round(kept, 4)}, config)


def _training(folder: Path) -> tuple[dict[str, Any], TrainConfig] | None:
    if not (folder / RUN_FACTS).is_file() or not (config := Recipe.load(folder).training):
        return None
    return json.loads((folder / RUN_FACTS).read_text(encoding="utf-8")), config
