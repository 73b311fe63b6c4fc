"""Mixed requests of many visitors: every answer is the one computed alone, and memory stays flat."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from gradio_client import Client

from sempa.models.generate import Sampling
from sempa.service.adapters import Adapters
from tests.campaign.conftest import Record, resident

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(7200)]
FULL, VISITORS, PARTS = 10_000, 8, 5
FLAT = 1.05
"""Most that memory may grow over the last three fifths of the requests."""
ROUNDING = 5e-6


def _asked(draw: random.Random, names: list[str]) -> tuple[str, tuple[Any, ...]]:
    first, second = (f"The {draw.choice(('hare', 'cat', 'goat'))} ran {draw.randrange(10**6)} times." for _ in range(2))
    adapter = draw.choice(names)
    return draw.choice(
        [
            ("/similarity", (first, second, adapter)),
            ("/preference", (first, second, adapter)),
            ("/embed", ([first, second], draw.choice(("base", "sempa")), adapter)),
            ("/paraphrase", (first, 1, 0.0, 4, 0, adapter)),
        ]
    )


def _right(truth: Adapters, endpoint: str, given: tuple[Any, ...], answer: Any) -> bool:
    studio = truth.choose(given[-1])
    if endpoint == "/similarity":
        return bool(answer == pytest.approx(studio.similarity(*given[:2]), abs=ROUNDING))
    if endpoint == "/preference":
        return bool(answer["preference"] == pytest.approx(studio.preference(*given[:2]), abs=1e-4))
    if endpoint == "/embed":
        return all(
            row == pytest.approx(right, abs=ROUNDING)
            for row, right in zip(answer, studio.embed(*given[:2]), strict=True)
        )
    *_, written = studio.paraphrase(given[0], Sampling(n=1, temperature=0.0, max_new_tokens=4, seed=0))
    return bool(answer == written)


def test_mixed_requests_are_right_and_memory_is_flat(
    serve: Callable[..., Any],
    options: list[str],
    truth: Adapters,
    seed: int,
    sized: Callable[[int], int],
    record: Record,
) -> None:
    tried, found, memory = sized(FULL), Counter[str](), []
    answers: list[tuple[str, tuple[Any, ...], Any]] = []
    with serve(*options) as app:

        def visit(number: int, count: int) -> None:
            draw, client = random.Random(number), Client(app.url, verbose=False)
            for _ in range(count):
                endpoint, given = _asked(draw, truth.names)
                try:
                    answer = client.predict(*given, api_name=endpoint)
                except Exception as error:
                    print(endpoint, given, repr(error)[:200])
                    found["failed"] += 1
                    continue
                answers.append((endpoint, given, answer))

        for part in range(PARTS):
            numbers = [seed + 1_000 * part + number for number in range(VISITORS)]
            count = max(1, tried // PARTS // VISITORS)
            visitors = [threading.Thread(target=visit, args=(number, count)) for number in numbers]
            for visitor in visitors:
                visitor.start()
            for visitor in visitors:
                visitor.join()
            memory.append(round(resident(app.process.pid), 1))
    found["wrong"] = sum(not _right(truth, *answer) for answer in answers)
    record("mixed requests", len(answers), FULL, visitors=VISITORS, failed=found["failed"], wrong=found["wrong"],
           resident_mib=memory)  # fmt: skip
    assert (found["failed"], found["wrong"]) == (0, 0)
    assert memory[-1] <= FLAT * memory[1]
