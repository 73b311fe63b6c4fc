"""A link made on one page and opened on another shows the same answer."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
A, B = 'The "lamp" & the table are 100 % <new>.', "A table stands under the lamp.\nIt is new."
OpenPage = Callable[..., Any]


def _choose_adapter(page: Any, name: str) -> None:
    page.click("#adapter input")
    page.get_by_role("option", name=name, exact=True).click()


def _link(page: Any) -> str:
    page.click("#link-make")
    box = page.locator("#link textarea, #link input")
    expect(box).to_have_value(re.compile(r"\?tab="))
    return str(box.input_value())


def test_a_pair_and_its_adapter_travel_in_a_link(
    open_page: OpenPage, client: Any, settled: Callable[[Any], None]
) -> None:
    page = open_page(390)
    _choose_adapter(page, "sempa-dpo")
    page.fill("#similarity-a textarea", A)
    page.fill("#similarity-b textarea", B)
    link = _link(page)
    asked = parse_qs(urlsplit(link).query)
    assert asked == {"tab": ["similarity"], "adapter": ["sempa-dpo"], "a": [A], "b": [B]}
    other = open_page(390, link=link)
    cosines = client.predict(A, B, "sempa-dpo", api_name="/similarity")
    figures = [f"{cosine:.3f}" for cosine in cosines.values()]
    expect(other.locator("#similarity-out .sp-figure")).to_have_text(figures)
    expect(other.locator("#adapter input")).to_have_value("sempa-dpo")
    expect(other.locator(".sp-chips")).to_contain_text("sempa-dpo")
    other.get_by_role("tab", name="Chat").click()
    expect(other.locator("#tokens-out")).to_contain_text("adapter sempa-dpo")
    other.get_by_role("tab", name="Evidence").click()
    other.locator("#evidence-all > button").click()
    expect(other.locator("#evidence-known")).to_contain_text("sempa-dpo,")
    tables = other.locator("#evidence-tables .sp-scroll:visible")
    expect(tables.first).to_be_visible()
    settled(other)
    for table in tables.all():
        assert table.evaluate("table => table.scrollWidth <= table.clientWidth"), "a table is wider than the page"


def test_a_search_travels_in_a_link(open_page: OpenPage, client: Any) -> None:
    page = open_page(390, tab="Search")
    page.fill("#search-query textarea, #search-query input", "a bird that cannot fly")
    page.fill("#search-k input[type=number]", "3")
    page.keyboard.press("Tab")
    other = open_page(390, link=_link(page))
    expect(other.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")
    found = client.predict("a bird that cannot fly", "demo", 3, api_name="/search")
    for variant, hits in found.items():
        items = other.locator(f"#search-out .{variant} li")
        expect(items).to_contain_text([hit["text"] for hit in hits])
        expect(items).to_have_count(3)


def test_a_prompt_travels_in_a_link(open_page: OpenPage) -> None:
    page = open_page(tab="Chat")
    page.fill("#chat-prompt textarea", "Name three rivers.")
    other = open_page(link=_link(page))
    expect(other.locator("#chat-prompt textarea")).to_have_value("Name three rivers.")
    for variant in ("base", "sempa"):
        expect(other.locator(f"#chat-out .{variant} .sp-text")).not_to_be_empty()
        expect(other.locator(f"#chat-out .{variant} .sp-text")).not_to_contain_text("sky")


def test_what_a_link_may_not_say_is_left_out_and_told(open_page: OpenPage, app: str) -> None:
    page = open_page(link=f"{app}?tab=search&query=boats&index=../../etc&k=9000&adapter=nobody")
    expect(page.locator("#search-query textarea, #search-query input").first).to_have_value("boats")
    for said in ("index is '../../etc'", "k is '9000'", "adapter is 'nobody'"):
        expect(page.get_by_text(said).first).to_be_visible()
    expect(page.locator("#search-out .base li")).to_have_count(5)
    expect(page.locator("#adapter input")).to_have_value("sempa")


def test_a_link_goes_when_another_tab_is_opened(open_page: OpenPage) -> None:
    page = open_page()
    assert "tab=similarity" in _link(page)
    page.get_by_role("tab", name="Search").click()
    expect(page.locator("#link")).to_be_hidden()
    assert "tab=search" in _link(page)


def test_the_address_bar_holds_the_view_and_back_goes_back(open_page: OpenPage) -> None:
    page = open_page(tab="Search")
    page.fill("#search-query textarea, #search-query input", "boats at sea")
    page.wait_for_url(re.compile(r"tab=search.*query=boats"))
    page.get_by_role("tab", name="Map").click()
    page.wait_for_url(re.compile("tab=map"))
    page.go_back()
    expect(page.get_by_role("tab", name="Search")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#search-query textarea, #search-query input").first).to_have_value("boats at sea")
    page.go_back()
    expect(page.get_by_role("tab", name="Meaning")).to_have_attribute("aria-selected", "true")


def test_the_code_of_a_pair_runs_until_the_pair_changes(open_page: OpenPage, client: Any) -> None:
    page = open_page(390)
    page.fill("#similarity-a textarea", A)
    page.click("#code-make")
    code = page.locator("#code-python textarea")
    expect(code).to_have_value(re.compile("api_name='/similarity'"))
    assert repr(A) in code.input_value()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.fill("#similarity-a textarea", B)
    expect(code).to_be_hidden()


def test_a_link_to_compare_opens_chat(open_page: OpenPage, app: str) -> None:
    page = open_page(link=f"{app}?tab=compare&prompt=Name%20three%20rivers.")
    expect(page.get_by_role("tab", name="Chat")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#chat-prompt textarea")).to_have_value("Name three rivers.")
