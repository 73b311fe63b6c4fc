"""Many visitors at once: correct answers, no errors."""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from sempa.embedding.encoder import Encoder
from sempa.embedding.ranking import hits_payload
from sempa.models.adapters import shipped_adapters
from sempa.models.pair import ModelPair
from sempa.service.adapters import Adapters
from sempa.service.studio import Studio

pytestmark = pytest.mark.timeout(3600)
VISITORS, SECONDS = 20, 15
CHECKED = 150
"""Number of sampled answers that are recomputed alone."""
ROUNDING = 5e-6
"""What a batch of other rows may change of a number of a unit vector in float32; another's answer is 1e-2 apart."""
SUBJECTS = ("The ferry", "A violinist", "My neighbour's goat", "The committee", "Nobody")
DOINGS = ("left before dawn", "did not answer", "was painted blue", "sold the piano", "laughed at the rain")


@pytest.fixture(scope="module")
def adapters() -> list[str]:
    if len(found := shipped_adapters()) < 2:
        pytest.skip("this needs two shipped adapters")
    return found


@pytest.fixture
def served(serve: Callable[..., AbstractContextManager[Any]], adapters: list[str]) -> Iterator[Any]:
    with serve(*(part for adapter in adapters for part in ("--adapter", adapter))) as app:
        yield app


def _sentence(draw: random.Random) -> str:
    return f"{draw.choice(SUBJECTS)} {draw.choice(DOINGS)} {draw.randrange(10_000)} times."


@pytest.mark.slow
def test_twenty_visitors_all_get_their_own_right_answer(served: Any, adapters: list[str]) -> None:
    names = [Path(adapter).name for adapter in adapters]
    answers: list[tuple[str, tuple[Any, ...], Any]] = []
    waits: list[float] = []
    failed: list[BaseException] = []
    until = time.monotonic() + SECONDS

    def visit(number: int) -> None:
        draw = random.Random(number)
        client = Client(served.url, verbose=False)
        while time.monotonic() < until:
            adapter = draw.choice(names)
            asked: tuple[str, tuple[Any, ...]] = draw.choice(
                [
                    ("/similarity", (_sentence(draw), _sentence(draw), adapter)),
                    ("/search", (_sentence(draw), "demo", 3, adapter)),
                    ("/embed", ([_sentence(draw)], draw.choice(["base", "sempa"]), adapter)),
                ]
            )
            started = time.monotonic()
            try:
                answers.append((*asked, client.predict(*asked[1], api_name=asked[0])))
            except Exception as error:
                failed.append(error)
                return
            waits.append(time.monotonic() - started)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert failed == []
    p95 = statistics.quantiles(waits, n=20)[-1]
    print(
        f"{len(answers)} answers to {VISITORS} visitors in {SECONDS} s; median {statistics.median(waits):.2f} s, ",
        end="",
    )
    print(f"95% within {p95:.2f} s; load {os.getloadavg()[0]:.1f}")
    assert len(answers) >= VISITORS
    first = ModelPair.open(adapter=adapters[0])
    loaded = Adapters([Encoder(pair) for pair in (first, *map(first.with_adapter, adapters[1:]))])
    for endpoint, asked, answer in random.Random(0).sample(answers, min(CHECKED, len(answers))):
        _require_right(loaded.choose(asked[-1]), endpoint, asked[:-1], answer)


def _require_right(studio: Studio, endpoint: str, asked: tuple[Any, ...], answer: Any) -> None:
    if endpoint == "/similarity":
        assert answer == pytest.approx(studio.similarity(*asked), abs=ROUNDING)
    elif endpoint == "/embed":
        assert answer[0] == pytest.approx(studio.embed(*asked)[0].tolist(), abs=ROUNDING)
    else:
        expected = hits_payload(studio.search(*asked))
        for variant, hits in expected.items():
            assert [hit["text"] for hit in answer[variant]] == [hit["text"] for hit in hits]
