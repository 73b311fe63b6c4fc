"""The Train tab from preview to the adapter in the other tabs, on the real model and the sample triplets."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
OpenPage = Callable[..., Any]


def test_preview_start_stop_resume_and_use(open_page: OpenPage) -> None:
    name, width = "browser-test", 390
    page = open_page(width)
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Settings").click()
    page.fill("#train-max_samples input", "48")
    page.fill("#train-batch_size input", "4")
    page.fill("#train-evaluate_every input", "48")
    page.fill("#train-name textarea, #train-name input", name)
    page.click("#train-look")
    expect(page.locator("#train-preview tbody tr")).to_have_count(20)
    expect(page.locator("#train-preview pre")).to_contain_text("--max-samples 48")
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    page.click("#train-run")
    expect(page.locator("#train-out")).to_contain_text(re.compile(f"{name} is running; .* pairs seen"))
    page.click("#train-stop")
    expect(page.locator("#train-out")).to_contain_text("can be resumed")
    page.click("#train-load")
    expect(page.get_by_text("The run is not finished").first).to_be_visible()
    page.click("#train-resume")
    expect(page.locator("#train-out")).to_contain_text(f"{name} is finished")
    expect(page.locator("#train-curves .js-plotly-plot")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
    page.click("#train-load")
    expect(page.locator("#adapter input")).to_have_value(name)
    page.get_by_role("tab", name="Similarity").click()
    page.click("#similarity-run")
    expect(page.locator("#similarity-out .sempa .sp-name")).to_contain_text(name)
