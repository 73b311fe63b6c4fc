"""axe-core on every tab, everything unfolded: no violation of ours, and Gradio's own named by rule."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
TABS = ("Similarity", "Search", "Paraphrase", "Compare", "Train")
SETTLED = "!document.querySelector('.pending, .generating')"
"""What is being computed is shown dimmed, with too little contrast for a moment."""
GRADIO_S_OWN = {"image-redundant-alt": 'the footer\'s "Settings" has the word beside its picture too'}


@pytest.fixture(scope="module")
def address(chromium: Any, serve: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve("--allow-training", cwd=tmp_path_factory.mktemp("runs")) as served:
        yield served.url


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_of_ours(chromium: Any, address: str, theme: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    page = context.new_page()
    page.set_default_timeout(240_000)
    page.goto(f"{address}?__theme={theme}")
    page.wait_for_selector("#similarity-out .sp-figure")
    found = []
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        folded = page.locator("button.label-wrap:visible:not(.open)")
        while folded.count():
            folded.first.click()
        page.wait_for_timeout(1500)
        page.wait_for_function(SETTLED)
        checked = Axe().run(page).response
        assert len(checked["passes"]) > 10
        found += [
            (tab, violation["id"], [node["html"][:200] for node in violation["nodes"]])
            for violation in checked["violations"]
            if violation["id"] not in GRADIO_S_OWN
        ]
    context.close()
    assert found == []
