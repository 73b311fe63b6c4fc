"""Search switches between dense vectors and codes and shows what matched; Similarity shows shared features."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
OpenPage = Callable[..., Any]


@pytest.mark.parametrize(("named", "kind"), [("Learned features (sparse)", "features"), ("Words (sparse)", "words")])
def test_search_by_codes_shows_what_the_endpoint_says(open_page: OpenPage, client: Any, named: str, kind: str) -> None:
    page = open_page(390, tab="Search")
    query = page.locator("#search-query textarea, #search-query input").first.input_value()
    page.locator("#search-by input").click()
    page.get_by_role("option", name=named, exact=True).click()
    found = client.predict(query, codes=kind, api_name="/search")
    for variant, hits in found.items():
        items = page.locator(f"#search-out .{variant} li")
        expect(items).to_contain_text([f"cosine {hit['cosine']:.3f}" for hit in hits])
        expect(items).to_contain_text([hit["text"] for hit in hits])
        largest = [hit["matched"][0] for hit in hits]
        expect(items.locator(".sp-part:nth-child(2)")).to_contain_text([f"{part['part']:.3f}" for part in largest])
        expect(items.locator(".sp-part:nth-child(2)")).to_contain_text([part["feature"] for part in largest])
    page.locator("#search-by input").click()
    page.get_by_role("option", name="Dense vectors", exact=True).click()
    dense = client.predict(query, api_name="/search")
    for variant, hits in dense.items():
        expect(page.locator(f"#search-out .{variant} li")).to_contain_text([hit["text"] for hit in hits])
    assert page.locator("#search-out .sp-part").count() == 0


def test_similarity_shows_shared_and_unshared_parts(open_page: OpenPage) -> None:
    page = open_page(390)
    page.get_by_role("button", name="Features both sentences share").click()
    page.click("#parts-run")
    for variant in ("base", "sempa"):
        card = page.locator(f"#parts-out .{variant}")
        expect(card.locator(".sp-part").first).to_be_visible()
        for told in ("shared", "A alone", "B alone"):
            expect(card).to_contain_text(told)
    features = page.locator("#parts-out").inner_text()
    page.get_by_label("Words of the vocabulary").click()
    expect(page.locator("#parts-out")).not_to_have_text(features, use_inner_text=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
