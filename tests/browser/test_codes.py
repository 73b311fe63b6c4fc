"""Search switches between dense vectors and codes and says what matched; Similarity shows what two sentences share."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
PATIENCE = 240_000
OpenPage = Callable[..., Any]


def _expect(locator: Any) -> Any:
    expect.set_options(timeout=PATIENCE)
    return expect(locator)


@pytest.mark.parametrize(("named", "kind"), [("Learned features (sparse)", "features"), ("Words (sparse)", "words")])
def test_search_by_codes_shows_what_the_endpoint_says(
    open_page: OpenPage, client: Any, width: int, named: str, kind: str
) -> None:
    page = open_page(width, tab="Search")
    query = page.locator("#search-query textarea, #search-query input").first.input_value()
    page.locator("#search-by input").click()
    page.get_by_role("option", name=named, exact=True).click()
    found = client.predict(query, codes=kind, api_name="/search")
    for variant, hits in found.items():
        items = page.locator(f"#search-out .{variant} li")
        _expect(items).to_contain_text([f"cosine {hit['cosine']:.3f}" for hit in hits])
        _expect(items).to_contain_text([hit["text"] for hit in hits])
        largest = [hit["matched"][0] for hit in hits]
        _expect(items.locator(".sp-part:nth-child(2)")).to_contain_text([f"{part['part']:.3f}" for part in largest])
        _expect(items.locator(".sp-part:nth-child(2)")).to_contain_text([part["feature"] for part in largest])
    page.locator("#search-by input").click()
    page.get_by_role("option", name="Dense vectors", exact=True).click()
    dense = client.predict(query, api_name="/search")
    for variant, hits in dense.items():
        _expect(page.locator(f"#search-out .{variant} li")).to_contain_text([hit["text"] for hit in hits])
    assert page.locator("#search-out .sp-part").count() == 0


def test_similarity_shows_shared_and_unshared_parts(open_page: OpenPage, width: int) -> None:
    page = open_page(width)
    page.get_by_role("button", name="What the two share").click()
    page.click("#parts-run")
    for variant in ("base", "sempa"):
        card = page.locator(f"#parts-out .{variant}")
        _expect(card.locator(".sp-part").first).to_be_visible()
        for told in ("shared", "A alone", "B alone"):
            _expect(card).to_contain_text(told)
    features = page.locator("#parts-out").inner_text()
    page.get_by_label("Words of the vocabulary").click()
    _expect(page.locator("#parts-out")).not_to_have_text(features, use_inner_text=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width + 1
