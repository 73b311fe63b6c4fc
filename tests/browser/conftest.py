"""The app with the real model, a browser, and pages that record errors and outside requests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sempa.models.adapters import SHIPPED_ADAPTERS, shipped_adapters

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 240
"""Timeout in seconds; on two free cores, nothing takes a tenth of it."""
SETTLED = """
() => !document.querySelector('.pending, .generating, [aria-label="Empty value"]') && document.getAnimations().every(
  moved => moved.playState !== 'running' || moved.effect.getComputedTiming().iterations === Infinity)
"""
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.is_file():
        pytest.skip(f"{CHROMIUM} is not there")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def app(serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start app.py once for all browser tests, with training, and yield its address; runs go to a temporary folder."""
    named = os.environ.get("SEMPA_TEST_ADAPTER")
    if not (adapters := [named] if named else shipped_adapters()):
        pytest.skip(f"{SHIPPED_ADAPTERS} holds no adapter: train one, or name one in SEMPA_TEST_ADAPTER")
    chosen = (part for adapter in adapters for part in ("--adapter", str(Path(adapter).resolve())))
    with serve("--allow-training", *chosen, cwd=tmp_path_factory.mktemp("runs")) as served:
        yield served.url


@pytest.fixture(scope="session")
def client(app: str) -> Any:
    """Return a client of the same app's endpoints."""
    from gradio_client import Client

    return Client(app, verbose=False)


@pytest.fixture(params=[1280, 390])  # for layout only; behaviour is tested at one width
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def settled() -> Callable[[Any], None]:
    """Return a function that waits until no output is dimmed (still computing) and nothing moves."""
    return lambda page: page.wait_for_function(SETTLED)


@pytest.fixture
def open_page(app: str, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the page or a link at a width; fail on bad messages or requests."""
    bad: list[str] = []
    contexts = []

    from playwright.sync_api import expect

    def opened(width: int = 1280, theme: str = "light", tab: str = "Similarity", link: str | None = None) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        page.on("console", lambda message: bad.append(message.text) if _is_bad(message) else None)
        page.on("pageerror", lambda error: bad.append(str(error)))
        page.on("request", lambda asked: bad.append(asked.url) if _is_elsewhere(asked.url, app) else None)
        page.goto(link or f"{app}?__theme={theme}")
        if link:
            return page
        page.wait_for_selector("#meaning-out .sp-card")
        page.get_by_role("tab", name=tab).click()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert bad == []


def _is_bad(message: Any) -> bool:
    """Return whether a message is an error, except a 422 from Gradio's page cancelling an event too early."""
    cancelled = message.location["url"].endswith("/gradio_api/cancel") and "status of 422" in message.text
    return message.type == "error" and not cancelled


def _is_elsewhere(url: str, app: str) -> bool:
    return not url.startswith((app, "data:", "blob:"))
