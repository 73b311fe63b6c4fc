"""The page in a browser, at desktop and phone width: tabs answer, agree with the endpoints, and report mistakes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import expect

from sempa.ui import chat, meaning, paraphrase, search, similarity
from sempa.ui.style import HEAD

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
TABS = ("Meaning", "Similarity", "Search", "Map", "Paraphrase", "Chat", "Evidence")
A, B = "The lamp is on the table.", "A table stands under the lamp."
ERRORS = "span.error"
"""Gradio's overlay on the outputs of a failed event."""
OLD = "Inputs changed: run again."
OpenPage = Callable[..., Any]
Settled = Callable[[Any], None]


def _figures(page: Any, cosines: dict[str, float]) -> None:
    expect(page.locator("#similarity-out .sp-figure")).to_have_text([f"{cosine:.3f}" for cosine in cosines.values()])


def _hits(page: Any, found: dict[str, list[dict[str, Any]]]) -> None:
    for variant, hits in found.items():
        items = page.locator(f"#search-out .{variant} li")
        expect(items).to_contain_text([hit["text"] for hit in hits])
        expect(items).to_contain_text([f"{hit['rank']}.cosine {hit['cosine']:.3f}" for hit in hits])
        expect(items).to_have_count(len(hits))


JUDGED = """
([variant, texts]) => {
  const card = document.querySelector(`#paraphrase-out .${variant}:has(.sp-send)`);
  const shown = [...card?.querySelectorAll('.sp-candidate') ?? []]
    .map(part => part.innerText.trim().split(/\\s+/).join(' '));
  return shown.length && shown.every(text => texts.includes(text)) && shown;
}
"""


def _candidates(page: Any, written: dict[str, list[str]]) -> None:
    """Expect each model's distinct paraphrases, ranked, once the worked example has gone."""
    for variant, texts in written.items():
        shown = page.wait_for_function(JUDGED, arg=[variant, [" ".join(text.split()) for text in texts]]).json_value()
        assert len(shown) == len({text.lower().strip(" .!?") for text in texts if text})


GROWN = """
part => new Promise(grown => {
  let times = 0, before = part.innerText;
  new MutationObserver((_, watch) => {
    times += part.innerText !== before;
    before = part.innerText;
    if (times === 6) { watch.disconnect(); grown(); }
  }).observe(part, {childList: true, subtree: true, characterData: true});
})
"""


def test_every_tab_opens_with_its_worked_example_answered(open_page: OpenPage, client: Any, width: int) -> None:
    page = open_page(width)
    for tab in TABS:
        expect(page.get_by_role("tab", name=tab)).to_be_visible()
    expect(page.locator("#meaning-out .sp-card")).to_have_count(3)
    page.get_by_role("tab", name="Similarity").click()
    _figures(page, client.predict(*similarity.EXAMPLES[0], api_name="/similarity"))
    page.get_by_role("tab", name="Search").click()
    _hits(page, client.predict(search.EXAMPLES[0], api_name="/search"))
    sampling = paraphrase.FIRST_SAMPLING
    drawn = (sampling.n, sampling.temperature, sampling.max_new_tokens, sampling.seed)
    page.get_by_role("tab", name="Paraphrase").click()
    _candidates(page, client.predict(paraphrase.FIRST, *drawn, api_name="/paraphrase"))
    page.get_by_role("tab", name="Chat").click()
    for variant in ("base", "sempa"):
        expect(page.locator(f"#chat-out .{variant} .sp-text")).to_contain_text(re.compile("sk(y|ies)"))
    assert page.locator("#evidence-similarity").count() == 0  # charts are drawn with the tab
    page.get_by_role("tab", name="Evidence").click()
    for chart in ("similarity", "contrast", "cost"):
        expect(page.locator(f"#evidence-{chart} .js-plotly-plot .main-svg").first).to_be_visible()
    page.locator("#evidence-all > button").click()
    expect(page.locator("#evidence-known table").first).to_contain_text("Base model")
    assert page.locator("#evidence-known tr").count() >= 5


def test_no_tab_is_wider_than_the_screen(open_page: OpenPage, width: int) -> None:
    page = open_page(width)
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector("#evidence-contrast .main-svg" if tab == "Evidence" else f"#{tab.lower()}-out .sp-card")
        assert page.evaluate("document.documentElement.scrollWidth") <= width + 1, tab


def test_similarity_shows_what_the_endpoint_says(open_page: OpenPage, client: Any) -> None:
    page = open_page(390)
    page.fill("#similarity-a textarea", A)
    page.fill("#similarity-b textarea", B)
    page.click("#similarity-run")
    _figures(page, client.predict(A, B, api_name="/similarity"))
    expect(page.locator("#similarity-out .sp-note")).to_contain_text(["of random pairs"] * 2)


def test_search_shows_what_the_endpoint_finds(open_page: OpenPage, client: Any) -> None:
    page = open_page(390, tab="Search")
    page.fill("#search-query textarea, #search-query input", "a bird that cannot fly")
    page.click("#search-run")
    _hits(page, client.predict("a bird that cannot fly", api_name="/search"))
    page.fill("#search-k input[type=number]", "3")
    page.keyboard.press("Tab")
    _hits(page, client.predict("a bird that cannot fly", "demo", 3, api_name="/search"))


DRAWS_LATE = """
() => {
  const draw = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = then => setTimeout(draw, 1000, then);
}
"""
THREE_FRAMES = """
() => new Promise(then => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(then))))
"""
TYPED = {
    "Search": ["#search-query textarea, #search-query input"],
    "Paraphrase": ["#paraphrase-sentence textarea"],
    "Chat": ["#chat-prompt textarea", "#tokens-sentence textarea, #tokens-sentence input"],
}


def test_what_is_asked_as_soon_as_a_tab_opens_stands(open_page: OpenPage, client: Any, settled: Settled) -> None:
    """On a slow page with finished worked examples: while one is generated, Gradio keeps typed text anyway."""
    first = open_page(tab="Paraphrase")
    expect(first.locator("#paraphrase-out .sp-send").first).to_be_visible()
    first.get_by_role("tab", name="Chat").click()
    expect(first.locator("#chat-out .sp-card").first).to_be_visible()
    settled(first)
    page = open_page()
    page.evaluate(DRAWS_LATE)
    for tab, fields in TYPED.items():
        page.get_by_role("tab", name=tab).click()
        for field in fields:
            page.fill(field, A)
    page.locator("#chat-settings").get_by_role("button", name="Prompt and sampling").click()
    page.evaluate(THREE_FRAMES)
    assert {page.input_value(field) for fields in TYPED.values() for field in fields} == {A}
    expect(page.get_by_label("number input for Token limit").locator("visible=true")).to_be_visible()
    page.get_by_role("tab", name="Search").click()
    page.click("#search-run")
    _hits(page, client.predict(A, api_name="/search"))


def test_paraphrase_writes_what_the_endpoint_writes(open_page: OpenPage, client: Any) -> None:
    """Requested during the worked example, which it replaces."""
    page = open_page(tab="Paraphrase")
    page.fill("#paraphrase-sentence textarea", A)
    page.click("#paraphrase-run")
    _candidates(page, client.predict(A, 3, 0.8, 48, 7, api_name="/paraphrase"))
    worth = page.locator("#paraphrase-out .sempa .sp-meta").all_inner_texts()
    assert all("new words" in note and "preference" in note for note in worth)


def test_a_candidate_is_sent_to_similarity_with_one_click(open_page: OpenPage, client: Any) -> None:
    page = open_page(390, tab="Paraphrase")
    button = page.locator("#paraphrase-out .sempa .sp-send").first
    expect(button).to_be_visible()
    text = page.locator("#paraphrase-out .sempa .sp-candidate").first.inner_text()
    button.click()
    expect(page.locator("#similarity-b textarea")).to_be_visible()
    expect(page.locator("#similarity-b textarea")).to_have_value(text)
    _figures(page, client.predict(paraphrase.FIRST, text, api_name="/similarity"))


def test_every_pair_of_many_sentences(open_page: OpenPage, client: Any) -> None:
    page = open_page(390)
    page.get_by_role("button", name="Many sentences").click()
    page.click("#matrix-run")
    expect(page.locator(".sp-map .js-plotly-plot")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 391
    first, second = page.locator("#matrix-out .sp-table tbody td").first.inner_text().split("\n")
    cosines = client.predict(first, second, api_name="/similarity")
    shown = page.locator("#matrix-out .sp-table tbody tr").first.locator("td").all_inner_texts()[1:]
    assert [cell.split()[0] for cell in shown] == [f"{cosine:.3f}" for cosine in cosines.values()]
    with page.expect_download() as download:
        page.click("#matrix-table")
    assert Path(download.value.path()).read_text(encoding="utf-8").count("\n") == 1 + 15


@pytest.mark.parametrize("tab", ["paraphrase", "chat"])
def test_stop_ends_the_growing(open_page: OpenPage, client: Any, settled: Settled, tab: str) -> None:
    page = open_page(390, tab=tab.capitalize())
    page.locator(f"#{tab}-settings").get_by_role("button", name="Prompt and sampling").click()
    longest = page.get_by_label("number input for Token limit").locator("visible=true")
    longest.fill("256")
    longest.press("Tab")
    page.fill("#paraphrase-sentence textarea, #chat-prompt textarea >> visible=true", "Write a very long story.")
    page.click(f"#{tab}-run")
    page.locator(f"#{tab}-out").evaluate(GROWN)
    page.click(f"#{tab}-stop")
    settled(page)
    stopped = page.locator(f"#{tab}-out .sp-card").all_inner_texts()
    client.predict("The model", "is free again.", api_name="/similarity")
    assert page.locator(f"#{tab}-out .sp-card").all_inner_texts() == stopped
    assert len(stopped) == 2
    assert page.locator(ERRORS).count() == 0


def test_stopping_a_worked_example_is_no_error(open_page: OpenPage, settled: Settled) -> None:
    page = open_page(tab="Chat")
    page.click("#chat-stop")
    settled(page)
    expect(page.locator("#chat-out .sp-card, #chat-out .sp-say").first).to_be_visible()
    assert page.locator(ERRORS).count() == 0


def test_chat_answers_a_prompt_of_one_s_own(open_page: OpenPage) -> None:
    page = open_page(390, tab="Chat")
    page.fill("#chat-prompt textarea", "What is the capital of France?")
    page.click("#chat-run")
    expect(page.locator("#chat-out .base .sp-text")).to_contain_text("Paris")
    expect(page.locator("#chat-out .sempa .sp-text")).to_contain_text(re.compile("Paris|France"))


MISTAKES = [
    (
        "Similarity",
        "#similarity-b textarea",
        "#similarity-run",
        "x" * 100_000,
        "The second sentence has 100,000 characters",
    ),
    (
        "Similarity",
        "#similarity-a textarea",
        "#similarity-run",
        "",
        "The first sentence is empty: enter some text.",
    ),
    (
        "Search",
        "#search-query textarea, #search-query input",
        "#search-run",
        " ",
        "The query is empty: enter some text",
    ),
    (
        "Paraphrase",
        "#paraphrase-sentence textarea",
        "#paraphrase-run",
        "",
        "The sentence is empty: enter some text.",
    ),
    ("Chat", "#chat-prompt textarea", "#chat-run", "", "The prompt is empty: enter some text."),
    ("Chat", "#chat-prompt textarea", "#chat-run", "x" * 100_000, "The prompt has 100,000 characters"),
]


def test_a_mistake_is_one_sentence_and_the_page_lives_on(open_page: OpenPage, client: Any) -> None:
    page = open_page(390)
    for tab, field, run, given, says in MISTAKES:
        page.get_by_role("tab", name=tab).click()
        page.fill(field, given)
        page.click(run)
        out = page.locator(f"#{tab.lower()}-out")
        expect(out.get_by_role("alert")).to_contain_text(says)
        assert "Traceback" not in out.inner_text()
        assert out.locator(".sp-card").count() == 0, "older results stand under the message"
        assert page.locator("[data-testid=toast-body]").count() == 0
        assert page.locator(ERRORS).count() == 0, "an error covers the page"
    page.get_by_role("tab", name="Similarity").click()
    page.fill("#similarity-a textarea", A)
    page.fill("#similarity-b textarea", B)
    page.click("#similarity-run")
    _figures(page, client.predict(A, B, api_name="/similarity"))


def test_a_refused_index_blocks_no_field(open_page: OpenPage) -> None:
    page = open_page(tab="Search")
    page.get_by_role("button", name="Search your own text").click()
    page.fill("#own-pasted textarea", "The ferry leaves at dawn.")
    page.fill("#own-name input, #own-name textarea", "Not A Name")
    page.click("#own-run")
    expect(page.locator("#own-out").get_by_role("alert")).to_contain_text("is not a valid index name")
    assert page.locator(ERRORS).count() == 0
    page.locator("#search-index input").click()
    expect(page.get_by_role("option", name="demo")).to_be_visible()
    expect(page.locator("#search-out .sp-card").first).to_be_visible()


def test_answers_of_another_adapter_are_marked_until_they_are_asked_again(open_page: OpenPage, client: Any) -> None:
    page = open_page()
    page.get_by_role("button", name="Many sentences").click()
    page.click("#matrix-run")
    expect(page.locator(".sp-map .js-plotly-plot")).to_have_count(3)
    page.get_by_role("tab", name="Paraphrase").click()
    expect(page.locator("#paraphrase-out .sp-send").first).to_be_visible()
    page.locator("#adapter input").click()
    page.get_by_role("option", name="sempa-dpo", exact=True).click()
    expect(page.locator("#paraphrase-out")).to_contain_text(OLD)
    page.get_by_role("tab", name="Similarity").click()
    _figures(page, client.predict(*similarity.EXAMPLES[0], "sempa-dpo", api_name="/similarity"))
    expect(page.locator("#matrix-out")).to_contain_text(OLD)
    expect(page.locator(".sp-map .js-plotly-plot:visible")).to_have_count(0)
    expect(page.locator("#matrix-table")).to_be_hidden()
    page.click("#matrix-run")
    expect(page.locator("#matrix-out")).not_to_contain_text(OLD)
    expect(page.locator(".sp-map .js-plotly-plot:visible")).to_have_count(3)
    page.get_by_role("tab", name="Search").click()
    _hits(page, client.predict(search.EXAMPLES[0], "demo", 5, "sempa-dpo", api_name="/search"))


SHIFTS = """
window.shifted = 0;
new PerformanceObserver(seen => { for (const shift of seen.getEntries()) window.shifted += shift.value; })
  .observe({type: 'layout-shift', buffered: true});
"""


def test_nothing_moves_while_the_page_loads(chromium: Any, app: str, settled: Settled, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.add_init_script(SHIFTS)
    page.goto(app)
    page.wait_for_selector("#meaning-gallery table")
    settled(page)
    shifted = page.evaluate("window.shifted")
    page.close()
    assert shifted < 0.1  # "good" by web.dev's threshold


def test_an_emptied_seed_is_said_in_one_sentence(open_page: OpenPage) -> None:
    page = open_page(1280, tab="Paraphrase")
    page.locator("#paraphrase-settings").get_by_role("button", name="Prompt and sampling").click()
    page.get_by_label("Seed").locator("visible=true").fill("")
    page.click("#paraphrase-run")
    expect(page.locator("#paraphrase-out").get_by_role("alert")).to_contain_text(
        "Seed: choose a whole number from 0 to"
    )


@pytest.mark.parametrize("given", ["3.7", "99"])
def test_a_number_of_hits_that_cannot_be_is_refused_in_words(open_page: OpenPage, given: str) -> None:
    page = open_page(1280, tab="Search")
    page.fill("#search-k input[type=number]", given)
    page.click("#search-run")
    said = page.locator("#search-out").get_by_role("alert")
    expect(said).to_contain_text("Hits: choose a whole number from 1 to 20.")


def test_markup_in_a_text_is_shown_as_text(open_page: OpenPage, settled: Settled) -> None:
    page = open_page(1280, tab="Chat")
    page.fill("#chat-prompt textarea", 'Repeat exactly: <img src=x onerror="document.title=1"> <b>bold</b>')
    page.click("#chat-run")
    expect(page.locator("#chat-out .sp-text").first).not_to_contain_text("sky")
    settled(page)
    assert page.locator("#chat-out img, #chat-out b").count() == 0


def test_markup_in_a_link_is_shown_as_text(open_page: OpenPage, app: str) -> None:
    """Text from a link is repeated in a message and must not become markup."""
    form = "<form action=//127.0.0.1:1><input name=p></form>"
    page = open_page(link=f"{app}?tab=paraphrase&template={quote(form)}&n={quote('<b>9')}")
    toasts = page.locator("[data-testid=toast-body]")
    said = page.locator("#paraphrase-out").get_by_role("alert")
    expect(said).to_contain_text(form)
    expect(toasts.filter(has_text="<b>9")).to_have_count(1)
    assert page.locator(":is([data-testid=toast-body], #paraphrase-out) :is(form, input, b)").count() == 0


def test_examples_can_be_clicked(open_page: OpenPage, client: Any) -> None:
    page = open_page(390)
    a, b = similarity.EXAMPLES[2]
    page.get_by_text(a, exact=True).locator("visible=true").first.click()
    _figures(page, client.predict(a, b, api_name="/similarity"))
    assert page.input_value("#similarity-b textarea") == b
    page.get_by_role("tab", name="Search").click()
    page.get_by_text(search.EXAMPLES[3], exact=True).locator("visible=true").first.click()
    _hits(page, client.predict(search.EXAMPLES[3], api_name="/search"))
    for tab, field, examples in (
        ("Paraphrase", "#paraphrase-sentence textarea", paraphrase.EXAMPLES),
        ("Chat", "#chat-prompt textarea", chat.EXAMPLES),
    ):
        page.get_by_role("tab", name=tab).click()
        page.get_by_text(examples[2], exact=True).locator("visible=true").first.click()
        expect(page.locator(field)).to_have_value(examples[2])


CONTRASTS = """
() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e), c = parse(style.backgroundColor);
      if (c.length && (c.length < 4 || c[3] > .9)) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll('.gradio-container *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest('footer')) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([e.textContent.trim().slice(0, 40), Math.round(ratio * 100) / 100]);
  }
  return found;
}
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_can_be_read(open_page: OpenPage, settled: Settled, theme: str, width: int, tmp_path: Path) -> None:
    page = open_page(width, theme)
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        page.wait_for_selector("#evidence-contrast .main-svg" if tab == "Evidence" else f"#{tab.lower()}-out .sp-card")
        settled(page)
        assert page.evaluate(CONTRASTS) == [], tab
        picture = tmp_path / f"{theme}-{width}-{tab.lower()}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 20_000
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in background.strip("rgba()").split(",")[:3]) / 3
    assert (brightness > 200) == (theme == "light"), background


def test_a_visitor_chooses_the_adapter_by_name(open_page: OpenPage, client: Any) -> None:
    page, other = open_page(390), open_page(390)
    for chosen in ("sempa-dpo", "sempa-contrastive"):
        page.locator("#adapter input").click()
        page.get_by_role("option", name=chosen, exact=True).click()
        first = similarity.EXAMPLES[0]
        expect(page.locator("#similarity-out .sempa .sp-name")).to_contain_text(f"adapter {chosen}")
        _figures(page, client.predict(*first, chosen, api_name="/similarity"))
        page.get_by_role("tab", name="Search").click()
        _hits(page, client.predict(search.EXAMPLES[0], "demo", 5, chosen, api_name="/search"))
        page.get_by_role("tab", name="Evidence").click()
        if not page.locator("#evidence-known").is_visible():
            page.locator("#evidence-all > button").click()
        expect(page.locator("#evidence-known")).to_contain_text(f"{chosen}, ")
        expect(page.locator(".sp-chips")).to_contain_text(f"adapter {chosen}")
        page.get_by_role("tab", name="Similarity").click()
    _figures(other, client.predict(*similarity.EXAMPLES[0], api_name="/similarity"))  # other visitors are unaffected


def test_a_visitor_measures_own_pairs_and_takes_the_table(open_page: OpenPage, tmp_path: Path) -> None:
    rows = [
        (5, "A dog runs.", "A hound is running."),
        (0, "A dog runs.", "Rates rose."),
        (3, "It rains.", "It is wet."),
    ]
    table = tmp_path / "own.tsv"
    lines = ["score\tsentence1\tsentence2", *("\t".join(map(str, row)) for row in rows)]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    page = open_page(390, tab="Evidence")
    page.set_input_files("#pairs-file input[type=file]", str(table))
    expect(page.locator("#pairs-file")).to_contain_text("own.tsv")
    page.click("#pairs-run")
    expect(page.locator("#pairs-out .sp-figure")).to_have_count(2)
    expect(page.locator("#pairs-out tbody tr")).to_have_count(3)
    with page.expect_download() as download:
        page.locator("#pairs-table").click()
    taken = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert taken[0] == "score,sentence1,sentence2,cosine_base,cosine_sempa"
    assert len(taken) == 4
    assert page.evaluate("document.documentElement.scrollWidth") <= 391


def test_key_tokens_are_shown_for_a_sentence_of_one_s_own(open_page: OpenPage) -> None:
    page = open_page(390, tab="Chat")
    expect(page.locator("#tokens-out .sempa .sp-token")).not_to_have_count(0)
    before = page.locator("#tokens-out").inner_text()
    page.fill("#tokens-sentence textarea, #tokens-sentence input", "An orchestra tuned its violins.")
    page.click("#tokens-run")
    expect(page.locator("#tokens-out")).not_to_have_text(before)
    expect(page.locator("#tokens-out .sempa .sp-token")).not_to_have_count(0)


def test_a_visitor_s_own_text_is_searched_and_deleted(open_page: OpenPage) -> None:
    page, other = open_page(390, tab="Search"), open_page(390, tab="Search")
    page.get_by_role("button", name="Search your own text").click()
    page.fill("#own-pasted textarea", "The ferry leaves at dawn.\nRates rose again.\nA kettle whistles.")
    page.fill("#own-name input, #own-name textarea", "mine-notes")
    page.click("#own-run")
    expect(page.locator("#own-out")).to_contain_text("3 texts are ready")
    expect(page.locator("#search-out .base li")).to_have_count(3)  # hits of the chosen index
    page.fill("#search-query textarea, #search-query input", "The boat departs early.")
    page.click("#search-run")
    expect(page.locator("#search-out .sempa li").first).to_contain_text("The ferry leaves at dawn.")
    expect(page.locator("#search-out .base li")).to_have_count(3)
    with page.expect_download() as download:
        page.locator("#search-table").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").count("\n") == 7
    other.locator("#search-index input").click()
    expect(other.get_by_role("option", name="demo")).to_be_visible()
    assert other.get_by_role("option", name="mine-notes").count() == 0
    page.click("#own-delete")
    page.click("#own-yes")
    expect(page.locator("#own-out")).to_contain_text("Deleted.")
    expect(page.locator("#search-index input")).to_have_value("demo")
    expect(page.locator("#search-out .base li")).to_have_count(5)
    expect(page.locator("#search-out")).not_to_contain_text("The ferry leaves at dawn.")


def test_a_hit_becomes_the_next_query(open_page: OpenPage) -> None:
    page = open_page(390, tab="Search")
    button = page.locator("#search-out .sempa li .sp-send").nth(2)
    text = button.get_attribute("data-text")
    button.click()
    expect(page.locator("#search-out")).to_contain_text(
        "The query is itself in the index, so it is left out of the hits."
    )
    expect(page.locator("#search-query textarea, #search-query input").first).to_have_value(text)
    assert text not in [item.split("\n")[0] for item in page.locator("#search-out .sempa li").all_inner_texts()]


def test_a_file_is_named_previewed_and_searched(open_page: OpenPage, tmp_path: Path) -> None:
    (tmp_path / "Harbour log.csv").write_text("id,entry\n1,The ferry left at dawn.\n2,Rates rose.\n3,It rained.\n")
    page = open_page(tab="Search")
    page.get_by_role("button", name="Search your own text").click()
    page.set_input_files("#own-file input[type=file]", str(tmp_path / "Harbour log.csv"))
    expect(page.locator("#own-name").locator("input, textarea")).to_have_value("harbour-log")
    expect(page.locator("#own-column input")).to_have_value("entry")
    expect(page.locator("#own-preview li")).to_have_text(["The ferry left at dawn.", "Rates rose.", "It rained."])
    page.fill("#own-pasted textarea", "A kettle whistles.")
    expect(page.locator("#own-preview")).to_contain_text("the file is used, the pasted lines are not")
    page.dblclick("#own-run")  # one index, and no complaint that its name is taken
    expect(page.locator("#own-run")).to_be_disabled()
    expect(page.locator("#own-out")).to_contain_text("3 texts are ready")
    expect(page.locator("#search-out .base li")).to_have_count(3)
    expect(page.locator("#own-out").get_by_role("alert")).to_have_count(0)


def test_ranks_are_joined_and_the_models_disagreements_found(open_page: OpenPage) -> None:
    page = open_page(tab="Search")
    expect(page.locator("#search-slope .js-plotly-plot")).to_be_visible()
    page.get_by_role("button", name="Where do they disagree most?").click()
    page.click("#disagree-run")
    expect(page.locator("#disagree-out details")).to_have_count(search.DISAGREEING)
    page.locator("#disagree-out summary").first.click()
    text = page.locator("#disagree-out summary b").first.inner_text()
    page.locator("#disagree-out .sp-send").first.click()
    expect(page.locator("#search-query textarea, #search-query input").first).to_have_value(text)


HOVER = """
() => { const [base, sempa] = ['base', 'sempa'].map(name => document.querySelector(`#map-${name} .js-plotly-plot`));
  base.emit('plotly_hover', {event: {}, points: [{curveNumber: 2, pointNumber: 3, customdata: 0}]});
  return [base, sempa].map(plot => plot.data[2].customdata[3]); }
"""
LINKED = """
() => ['base', 'sempa'].every(name => document.querySelector(`#map-${name} .js-plotly-plot`)?.linked)
"""
HOVERED = "() => document.querySelectorAll('#map-sempa .hoverlayer .hovertext').length === 1"


def test_the_maps_are_linked_and_a_click_asks_for_more(open_page: OpenPage, client: Any) -> None:
    page = open_page(tab="Map")
    page.click("#map-run")
    expect(page.locator("#map-status")).to_contain_text("t-SNE")
    expect(page.locator("#map-out .sp-card")).to_have_count(2)
    page.wait_for_function(LINKED)
    star = page.evaluate("document.querySelector('#map-sempa .js-plotly-plot').data.at(-1).x[0]")
    assert star is not None
    base_id, sempa_id = page.evaluate(HOVER)
    assert base_id == sempa_id
    page.wait_for_function(HOVERED, timeout=20_000)
    page.evaluate(
        "document.querySelector('#map-base .js-plotly-plot').emit('plotly_click', {points: [{customdata: 3}]})"
    )
    expect(page.locator("#map-query").locator("textarea, input")).not_to_have_value(search.EXAMPLES[0])
    text = page.locator("#map-query").locator("textarea, input").input_value()
    found = client.predict(text, "demo", 6, api_name="/search")["sempa"]
    expect(page.locator("#map-out .sempa li")).to_contain_text([hit["text"] for hit in found if hit["text"] != text])


def test_the_hits_shown_first_can_be_taken_along(open_page: OpenPage) -> None:
    page = open_page(tab="Search")
    with page.expect_download() as download:
        page.click("#search-table")
    head, first, *_ = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert head.startswith("query,index,model,rank,rank_in_other_model,cosine,text")
    assert first.startswith(f"{search.EXAMPLES[0]},demo,base,1,")


@pytest.mark.parametrize(
    ("tab", "field", "out"),
    [("Similarity", "similarity-b", "similarity-out .sp-figure"), ("Chat", "tokens-sentence", "tokens-out .sempa")],
)
def test_enter_asks(open_page: OpenPage, tab: str, field: str, out: str) -> None:
    page = open_page(tab=tab)
    before = page.locator(f"#{out}").first.inner_text()
    box = page.locator(f"#{field}").locator("textarea, input")
    box.fill("A kettle whistles.")
    box.press("Enter")
    expect(page.locator(f"#{out}").first).not_to_have_text(before)
    assert box.input_value() == "A kettle whistles."


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_is_visible(open_page: OpenPage, theme: str) -> None:
    page = open_page(theme=theme)
    page.focus("#similarity-a textarea")
    page.keyboard.press("Tab")
    outline = page.evaluate(
        "(() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; })()"
    )
    assert outline == ["solid", "2px"]


def test_no_dot_stands_alone_in_a_phone_s_footer(open_page: OpenPage) -> None:
    footer = open_page(390).locator("footer")
    expect(footer.get_by_text("Settings")).to_be_visible()
    assert footer.locator(".divider:visible").count() == 0


def test_the_page_opens_with_the_question_which_one_means_the_same(open_page: OpenPage, client: Any) -> None:
    page = open_page(390, tab="Meaning")
    rows = page.locator("#meaning-gallery tbody tr")
    expect(rows).to_have_count(len(meaning.EXAMPLES))
    for column, name in enumerate(meaning.NAMES.values(), start=3):
        right = page.locator(f"#meaning-gallery td:nth-child({column}) .sp-right").count()
        expect(page.locator("#meaning-tally")).to_contain_text(f"{name} {right} of {len(meaning.EXAMPLES)}")
    rows.nth(2).get_by_role("button").click()
    one = meaning.EXAMPLES[2]
    expect(page.locator("#meaning-sentence textarea")).to_have_value(one.sentence)
    cards = page.locator("#meaning-out .sp-card")
    expect(cards.nth(2)).to_contain_text(one.paraphrase)
    preferred = client.predict(one.sentence, one.paraphrase, api_name="/preference")["preference"]
    expect(cards.nth(2)).to_contain_text(f"{preferred:.3f}")
    for number, cosine in enumerate(client.predict(one.sentence, one.edit, api_name="/similarity").values()):
        expect(cards.nth(number)).to_contain_text(f"{cosine:.3f}")


def test_own_candidates_are_ranked_and_bad_ones_refused_in_words(open_page: OpenPage) -> None:
    page = open_page(tab="Meaning")
    page.fill("#meaning-candidates textarea", "One.")
    expect(page.locator("#meaning-out")).to_contain_text(OLD)
    page.click("#meaning-run")
    expect(page.locator("#meaning-out")).to_contain_text("enter at least two candidates, one per line")
    page.fill("#meaning-candidates textarea", "Bread is sold out.\nThe moon is full.\nThere is plenty of bread.")
    page.click("#meaning-run")
    cards = page.locator("#meaning-out .sp-card")
    expect(cards).to_have_count(3)
    for card in cards.all():
        expect(card.locator("li")).to_have_count(3)
        expect(card).not_to_contain_text("right")
    expect(page.locator("#meaning-plot .js-plotly-plot")).to_be_visible()


def test_what_the_page_waits_for_before_it_shows_is_on_the_first_screen(open_page: OpenPage) -> None:
    page = open_page(tab="Meaning")
    (awaited,) = re.findall(r"querySelector\('([^']+)'\)\) return", HEAD)
    expect(page.locator(awaited).first).to_be_visible()


def test_a_ranking_becomes_a_picture(open_page: OpenPage) -> None:
    page = open_page(390, tab="Meaning")
    with page.expect_download() as download:
        page.click("#meaning-picture")
    with Image.open(download.value.path()) as picture:
        assert (picture.format, picture.size) == ("PNG", (1200, 630))
        counts = {colour: count for count, colour in picture.convert("RGB").getcolors(1200 * 630)}
    for part, colour in {"text": (15, 23, 42), "base": (100, 116, 139), "sempa": (15, 118, 110)}.items():
        assert counts.get(colour, 0) > 500, f"{part} is missing"
