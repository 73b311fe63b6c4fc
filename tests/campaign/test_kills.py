"""Processes killed at random moments: what is on disk is complete, the next process clears up and goes on."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sempa.embedding.index import SentenceIndex
from sempa.files import tidy
from tests.campaign.conftest import Record
from tests.training.test_killed import require_same_end

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(7200)]
ROOT = Path(__file__).parents[2]
FULL, EACH = 100, 10
WRITER = """
import sys
from pathlib import Path
import numpy as np
from sempa.config import EncoderConfig
from sempa.data.corpora import Corpus
from sempa.embedding.index import SentenceIndex
folder = Path(sys.argv[1])
for number in range(10**6):
    texts = tuple(f"{number % 2} {i}" for i in range(2000))
    index = SentenceIndex(Corpus(texts, tuple({} for _ in texts)))
    rows = np.zeros((2000, 8), np.float32)
    rows[:, number % 2] = 1
    index.add(EncoderConfig(), rows)
    index.save(folder)
    print(number, flush=True)
"""
"""Replaces an index again and again by one of two, whose texts and vectors belong together."""


def test_a_killed_index_is_one_or_the_other(
    tmp_path: Path, seed: int, sized: Callable[[int], int], record: Record
) -> None:
    draw, kills, leftovers, wrong = random.Random(seed), sized(FULL), 0, 0
    folder = tmp_path / "index"
    for _ in range(kills):
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()  # it writes from now on
            time.sleep(draw.random() * 0.2)
            process.kill()
        leftovers += len(list(tmp_path.iterdir())) > 1
        tidy(tmp_path)
        index = SentenceIndex.load(folder)
        kind = int(index.corpus.texts[0][0])
        [recipe] = index.recipes
        wrong += {text[0] for text in index.corpus.texts} != {str(kind)}
        wrong += not (index.rows(recipe)[:, kind] == 1).all()
        wrong += len(list(tmp_path.iterdir())) > 1
    record("kills while an index is replaced", kills, FULL, leftovers_cleared=leftovers, wrong=wrong)
    assert wrong == 0


def test_killed_trainings_end_as_uninterrupted_ones(
    model_folder: Path, tmp_path: Path, seed: int, sized: Callable[[int], int], record: Record
) -> None:
    kills, runs = sized(FULL), 0
    while runs * EACH < kills:
        objective = ("dpo", "joint")[runs % 2]
        (tmp_path / str(runs)).mkdir()
        require_same_end(model_folder, tmp_path / str(runs), seed + runs, objective, min(EACH, kills - runs * EACH))
        runs += 1
    record("kills of the trainer", kills, FULL, runs=runs, wrong=0)
