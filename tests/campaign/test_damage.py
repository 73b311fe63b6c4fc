"""Damage to every file of every artefact: it is refused in one sentence or repaired, never opened as something else."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.encoder import Encoder
from sempa.embedding.index import SentenceIndex
from sempa.embedding.settings import fit_settings, open_settings, save_settings
from sempa.errors import SempaError
from sempa.models.pair import ModelPair
from sempa.sparse.autoencoder import SparseCoder
from sempa.sparse.coders import Feature, FittedCodes, fit_direction, open_coders, save_coders
from tests.campaign.conftest import Record

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(7200)]
FULL = 1_000
TEXTS = tuple(f"The hare ran {number} times." for number in range(50))


def _damage(path: Path, draw: random.Random) -> str:
    data, how = bytearray(path.read_bytes()), draw.choice(("bit", "bit", "bit", "cut", "gone", "zeros"))
    if how == "bit":
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif how == "cut":
        del data[draw.randrange(len(data)) :]
    elif how == "zeros":
        start = draw.randrange(len(data))
        data[start : start + 512] = bytes(len(data[start : start + 512]))
    path.unlink() if how == "gone" else path.write_bytes(data)
    return how


@pytest.fixture
def artefacts(
    model_folder: Path, adapter_folder: Path, tmp_path: Path
) -> dict[str, tuple[Path, Callable[[Path], Any]]]:
    """Return each artefact's folder and a function that opens it and returns everything it says."""
    pair = ModelPair.open(str(model_folder), str(adapter_folder), precision="float32", device="cpu")
    encoder = Encoder(pair)
    rows = encoder.encode(TEXTS, "base")
    index = SentenceIndex(Corpus(TEXTS, tuple({} for _ in TEXTS)))
    index.add(encoder.recipe("base"), rows)
    index.save(tmp_path / "index")
    coder = SparseCoder(pair.width, 64, seed=2).requires_grad_(False)
    fitted = {"base": FittedCodes(fit_direction(rows), coder, [Feature((f"word{i}",)) for i in range(64)])}
    assert pair.adapter
    save_coders(tmp_path / "codes", fitted, {"adapter": pair.adapter.sha256})
    save_settings(fit_settings(pair, EncoderConfig(), "centre", TEXTS, "test"), tmp_path / "settings")
    ids = torch.arange(40, 60).unsqueeze(0)

    def open_adapter(folder: Path) -> Any:
        opened = ModelPair.open(str(model_folder), str(folder), precision="float32", device="cpu")
        return opened.hidden_states("sempa", ids, torch.ones_like(ids)).numpy()

    def open_index(folder: Path) -> Any:
        opened = SentenceIndex.load(folder)
        return [opened.corpus, [(recipe, opened.rows(recipe).tobytes()) for recipe in opened.recipes]]

    def open_codes(folder: Path) -> Any:
        opened = open_coders(pair, folder)
        found = [opened[kind].codes(rows, "base", 4).toarray() for kind in opened]
        return [*found, np.array([opened["features"].describe("base", i).label for i in range(64)])]

    def read_settings(folder: Path) -> Any:
        return open_settings(pair, folder).encode(TEXTS[:3], "sempa")

    return {
        "adapter": (adapter_folder, open_adapter),
        "index": (tmp_path / "index", open_index),
        "codes": (tmp_path / "codes", open_codes),
        "settings": (tmp_path / "settings", read_settings),
    }


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(_same(a, b) for a, b in zip(found, expected, strict=True))
    return np.array_equal(found, expected) if isinstance(expected, np.ndarray) else found == expected


def test_damage_is_refused_or_without_effect(
    artefacts: dict[str, tuple[Path, Callable[[Path], Any]]],
    tmp_path: Path,
    seed: int,
    sized: Callable[[int], int],
    record: Record,
) -> None:
    draw, tried, found = random.Random(seed), sized(FULL), Counter[str]()
    right = {name: opens(folder) for name, (folder, opens) in artefacts.items()}
    bad: list[str] = []
    for number in range(tried):
        name = list(artefacts)[number % len(artefacts)]
        folder, opens = artefacts[name]
        copy = shutil.copytree(folder, tmp_path / "copy")
        file = draw.choice(sorted(path for path in copy.rglob("*") if path.is_file()))
        how = _damage(file, draw)
        try:
            same = _same(opens(copy), right[name])
            found["without effect" if same else "wrong"] += 1
            bad += [] if same else [f"{name}: {file.name} {how} opens as something else"]
        except SempaError:
            found["refused"] += 1
        except Exception as error:
            found["tracebacks"] += 1
            bad.append(f"{name}: {file.name} {how}: {error!r}"[:300])
        shutil.rmtree(copy)
    counts = {name: found[name] for name in ("refused", "without effect", "wrong", "tracebacks")}
    record("damaged files", tried, FULL, **counts)
    print(counts, *bad[:20], sep="\n")
    assert counts["wrong"] == counts["tracebacks"] == 0
