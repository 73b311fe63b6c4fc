"""The Train tab from preview to the adapter in the other tabs, on the real model and the sample triplets."""

import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
OpenPage = Callable[..., Any]


def test_preview_start_stop_resume_and_use(open_page: OpenPage) -> None:
    """Runs at desktop width, then checks that the result fits a phone."""
    name = "browser-test"
    page = open_page()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-stop")).to_be_disabled()
    for button in ("load", "zip", "delete"):
        expect(page.locator(f"#train-{button}")).to_be_disabled()
    page.fill("#train-max_samples input", "")
    expect(page.locator("#train-wrong")).to_contain_text("Triplets: choose a whole number from 1 to 10,000,000.")
    page.fill("#train-max_samples input", "40")
    expect(page.locator("#train-wrong")).to_have_text("")
    page.fill("#train-batch_size input", "2")
    page.fill("#train-evaluate_every input", "20")
    page.fill("#train-name textarea, #train-name input", name)
    page.click("#train-look")
    expect(page.locator("#train-preview tbody tr")).to_have_count(20)
    expect(page.locator("#train-preview pre")).to_contain_text("--max-samples 40")
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("scrollTo(0, 0)")
    page.fill("#train-name textarea, #train-name input", "sempa")
    page.click("#train-run")
    expect(page.locator("#train-said").get_by_role("alert")).to_contain_text("choose another name of the run")
    page.fill("#train-name textarea, #train-name input", name)
    page.click("#train-run")
    expect(page.locator("#train-out")).to_contain_text(
        re.compile(f"{name} is running: .* of 40 triplets seen, about .* left")
    )
    expect(page.locator("#train-said")).to_have_text("")
    expect(page.locator("#train-run")).to_be_disabled()
    expect(page.locator("#train-scores .js-plotly-plot")).to_be_visible()
    page.evaluate("scrollTo(0, 0)")
    for part in ("out", "scores"):
        box = page.locator(f"#train-{part}").bounding_box()
        assert box["y"] + box["height"] <= 900, f"{part} is below the fold: {box}"
    page.click("#train-stop")
    expect(page.locator("#train-out")).to_contain_text("can be resumed")
    expect(page.locator("#train-load")).to_be_disabled()
    expect(page.locator("#train-stop")).to_be_disabled()
    page.click("#train-resume")
    expect(page.locator("#train-out")).to_contain_text(re.compile(r"Before [\d.]+, after [\d.]+: "))
    expect(page.locator("#train-run")).to_be_enabled()
    expect(page.locator("#train-zip")).to_be_enabled()
    with page.expect_download() as download:
        page.click("#train-zip")
    assert f"{name}/adapter_model.safetensors" in zipfile.ZipFile(download.value.path()).namelist()
    page.get_by_role("button", name="Log and all curves").click()
    expect(page.locator("#train-curves .js-plotly-plot")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    page.click("#train-load")
    expect(page.locator("#adapter input")).to_have_value(name)
    page.get_by_role("tab", name="Similarity").click()
    expect(page.locator("#similarity-out .sempa .sp-name")).to_contain_text(name)
    page.get_by_role("tab", name="Train").click()
    page.click("#train-delete")
    page.click("#train-yes")
    expect(page.locator("#train-said")).to_contain_text(f"{name} is deleted")
    expect(page.locator("#train-out")).to_contain_text("No run yet.")
