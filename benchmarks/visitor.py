"""Time a first visitor's path through the app in Chromium: start, answer, index a file, search it, export.

`python benchmarks/visitor.py --json results/visitor.json --pictures docs` also takes README's picture, with every step
as a frame of `tour.gif`. Needs Playwright and /usr/bin/chromium; the app's downloads must be done.
"""

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from shared import keep, started_app

from sempa.data.corpora import read_corpus
from sempa.data.rows import subsample

DEMO = ROOT / "index" / "demo" / "texts.csv"
LINES = 100
PATIENCE = 120_000
SETTLED = 1_000
"""Milliseconds to let the page finish rendering before a picture; not counted."""
HELD = 1_600
"""Milliseconds per frame of the tour."""


def parser() -> argparse.ArgumentParser:
    """Return the parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path)
    made.add_argument("--pictures", type=Path, help="folder for tour.gif")
    return made


def _answer(page: Page) -> None:
    expect(page.locator("#meaning-out .sp-card")).to_have_count(3)
    expect(page.locator("#meaning-out .sp-card").first).to_be_visible()


def _examples(page: Page) -> None:
    expect(page.locator("#meaning-gallery tbody tr").first).to_be_visible()


def _own_sentences(page: Page) -> None:
    page.fill("#meaning-sentence textarea", "The pianist was late.")
    page.fill("#meaning-candidates textarea", "The concert began on time.\nWe waited for the woman at the keys.")
    page.click("#meaning-run")
    expect(page.locator("#meaning-out .sp-card").first).to_contain_text("the woman at the keys")


def _indexed(page: Page, file: Path) -> None:
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("button", name="Search your own text").click()
    page.set_input_files("#own-file input[type=file]", file)
    expect(page.locator("#own-file")).to_contain_text(file.name)
    page.fill("#own-name input, #own-name textarea", "notes")
    page.click("#own-run")
    expect(page.locator("#own-out")).to_contain_text("texts are ready")


def _searched(page: Page) -> None:
    page.fill("#search-query input, #search-query textarea", "someone could not sleep")
    page.click("#search-run")
    expect(page.locator("#search-out li").first).to_be_visible()
    expect(page.locator("#search-table")).to_be_visible()
    page.locator("#search-query").scroll_into_view_if_needed()


def _exported(page: Page) -> None:
    with page.expect_download() as download:
        page.click("#search-table")
    assert download.value.path().read_text(encoding="utf-8").startswith("query,index,model")


def walk(page: Page, file: Path, frame: Callable[[], None]) -> dict[str, float]:
    """Take the steps in order and return each one's seconds."""
    steps: dict[str, Callable[[], None]] = {
        "page opened, worked example answered": lambda: _answer(page),
        "ten examples answered": lambda: _examples(page),
        "own sentences ranked": lambda: _own_sentences(page),
        f"own file of {len(file.read_text(encoding='utf-8').splitlines())} lines indexed with both models": lambda: (
            _indexed(page, file)
        ),
        "own file searched": lambda: _searched(page),
        "hits downloaded as CSV": lambda: _exported(page),
    }
    seconds = {}
    for name, step in steps.items():
        started = time.perf_counter()
        step()
        seconds[name] = round(time.perf_counter() - started, 2)
        print(f"{seconds[name]:6.2f} s  {name}", flush=True)
        page.wait_for_timeout(SETTLED)
        frame()
    return seconds


def _pictures(page: Page, frames: list[bytes], folder: Path) -> None:
    """Add the last tabs to the tour and write it."""
    for name, action in (("Paraphrase", "#paraphrase-out .sp-candidate"), ("Evidence", "#evidence-contrast .main-svg")):
        page.get_by_role("tab", name=name).click()
        expect(page.locator(action).first).to_be_visible()
        page.wait_for_timeout(4_000)
        frames.append(page.screenshot())
    images = [Image.open(io.BytesIO(frame)).convert("P", palette=Image.Palette.ADAPTIVE, colors=64) for frame in frames]
    folder.mkdir(parents=True, exist_ok=True)
    images[0].save(folder / "tour.gif", save_all=True, append_images=images[1:], duration=HELD, loop=0, optimize=True)


def main() -> int:
    """Walk, print and write."""
    args = parser().parse_args()
    frames: list[bytes] = []
    with tempfile.TemporaryDirectory() as room, sync_playwright() as playwright:
        file = Path(room) / "notes.txt"
        file.write_text("\n".join(subsample(read_corpus(DEMO).texts, LINES)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1000, "height": 760}).new_page()
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        with started_app() as (address, listens):
            seconds = {"`python app.py` until the page is served": round(listens, 2)}
            page.goto(f"{address}/?__theme=light")
            seconds |= walk(page, file, lambda: frames.append(page.screenshot()))
            if args.pictures:
                _pictures(page, frames, args.pictures)
    result: dict[str, Any] = {
        "kind": "visitor",
        "seconds": seconds,
        "total": round(sum(seconds.values()), 1),
    }
    print(json.dumps(result, indent=2))
    keep(result, args.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
