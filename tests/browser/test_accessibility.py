"""axe-core on every tab, everything unfolded: no violation of ours, and Gradio's own named by rule."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
OpenPage = Callable[..., Any]
TABS = ("Meaning", "Similarity", "Search", "Map", "Paraphrase", "Chat", "Evidence", "Train")
GRADIO_S_OWN = {"image-redundant-alt": 'the footer\'s "Settings" has the word beside its picture too'}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_of_ours(open_page: OpenPage, settled: Callable[[Any], None], theme: str, width: int) -> None:
    page = open_page(width, theme)
    found = []
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        folded = page.locator("button.label-wrap:visible:not(.open)")
        while folded.count():
            folded.first.click()
        settled(page)
        checked = Axe().run(page).response
        assert len(checked["passes"]) > 10
        found += [
            (tab, violation["id"], [node["html"][:200] for node in violation["nodes"]])
            for violation in checked["violations"]
            if violation["id"] not in GRADIO_S_OWN
        ]
    assert found == []
