"""Render answers as HTML: external text is escaped and every figure is labelled."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

from sempa.embedding.index import Hit
from sempa.embedding.ranking import RankedHit
from sempa.evaluation.candidates import CUT as FAULT_CUT
from sempa.evaluation.candidates import Candidate
from sempa.evaluation.paraphrase import words_of

_WORD = re.compile(r"\w+")
MODEL_NAMES = {"base": "Base", "sempa": "SemPA"}


def header(chips: Sequence[str]) -> str:
    """Return the page's header: the app's name and purpose, and chips for what is loaded."""
    marks = "".join(f'<span class="sp-chip">{escape(chip)}</span>' for chip in chips)
    return (
        '<div class="sp-head"><h1>SemPA Studio</h1><p>Compare a language model before and after SemPA alignment: what '
        f'its sentence embeddings gain, and what that costs.</p><div class="sp-chips">{marks}</div></div>'
    )


def grid(cards: Mapping[str, str], adapter: str) -> str:
    """Return a card per model, side by side if the screen is wide enough; the aligned one names its adapter."""
    notes = {"base": "adapter off", "sempa": f"adapter {adapter}"}
    made = "".join(card(variant, MODEL_NAMES[variant], body, notes[variant]) for variant, body in cards.items())
    return f'<div class="sp-grid">{made}</div>'


def card(kind: str, name: str, body: str, note: str = "") -> str:
    """Return one card; `kind` is its class, `body` is HTML."""
    return (
        f'<div role="group" class="sp-card {kind}" aria-label="{escape(name)}"><div class="sp-name">{escape(name)} '
        f"<small>{escape(note)}</small></div>{body}</div>"
    )


def say(text: str) -> str:
    """Return an unobtrusive status line."""
    return f'<div class="sp-say" role="status">{escape(text)}</div>'


def bar(done: int, total: int | None) -> str:
    """Return a progress bar; without a total, one without an end."""
    known = f' value="{done}" max="{total}"' if total else ""
    return f'<progress class="sp-bar" aria-label="Progress"{known}></progress>'


def counted(line: str) -> str:
    """Return a line of progress and, if it counts ("3 of 1,200"), a bar."""
    found = re.search(r"([\d,]+) of ([\d,]+)", line)
    return say(line) + (bar(*(int(number.replace(",", "")) for number in found.groups())) if found else "")


def refusal(text: str) -> str:
    """Return an error message to show in place of the answer."""
    return f'<div class="sp-say sp-refusal" role="alert">{escape(text)}</div>'


def note(text: str) -> str:
    """Return a small line of explanation."""
    return f'<div class="sp-note">{escape(text)}</div>'


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "", kind: str = "", frame: str = ""
) -> str:
    """Return a table in a frame that scrolls if too wide; cells are HTML, head and caption are text."""
    heads = "".join(f"<th scope='col'>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="sp-scroll {frame}" tabindex="0"><table class="sp-table {kind}">'
        f"{f'<caption>{escape(caption)}</caption>' if caption else ''}"
        f"{f'<thead><tr>{heads}</tr></thead>' if head else ''}<tbody>{body}</tbody></table></div>"
    )


def pair_table(
    pairs: Sequence[tuple[str, str]], cells: Sequence[Sequence[str]], heads: Sequence[str], caption: str
) -> str:
    """Return a table of sentence pairs with figures, cells as HTML."""
    rows = [[f"{escape(a)}<br>{escape(b)}", *row] for (a, b), row in zip(pairs, cells, strict=True)]
    return table(["Pair", *heads], rows, caption=caption, kind="sp-texts")


def fact_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a two-column table."""
    return table([], [[escape(name), escape(value)] for name, value in rows], kind="sp-facts")


def share(value: float) -> str:
    """Return a share (0..1) as a percentage, never rounded up to 100%."""
    return f"{min(value, 0.999):.1%}"


def button(text: str, label: str) -> str:
    """Return a button that carries a text; its accessible name includes the text."""
    return (
        f'<button type="button" class="sp-send" aria-label="{escape(f"{label}: {text[:80]}")}" '
        f'data-text="{escape(text)}">{label}</button>'
    )


def copy_button(text: str) -> str:
    """Return a button that copies a text to the clipboard."""
    return (
        f'<button type="button" class="sp-copy" aria-label="{escape(f"Copy: {text[:80]}")}" '
        f'data-copy="{escape(text)}">Copy</button>'
    )


def similarity_cards(cosines: Mapping[str, float], percentiles: Mapping[str, float], adapter: str) -> str:
    """Return each model's cosine and, where known, its percentile among random pairs."""
    return grid({name: _cosine_body(cosine, percentiles.get(name)) for name, cosine in cosines.items()}, adapter)


def _cosine_body(cosine: float, percentile: float | None) -> str:
    words = "" if percentile is None else note(f"More similar than {share(percentile)} of random pairs")
    return f'<div class="sp-figure">{cosine:.3f}</div>{words}'


def hit_cards(found: Mapping[str, Sequence[tuple[RankedHit, str]]], adapter: str) -> str:
    """Return each model's hits: cosine, topic, buttons, and below them an explanation as HTML."""
    cards = {}
    for variant, hits in found.items():
        items = "".join(_hit_item(ranked.hit, below) for ranked, below in hits)
        cards[variant] = f'<ol class="sp-list">{items}</ol>' if hits else _empty("No text is similar enough.")
    return grid(cards, adapter)


def _hit_item(hit: Hit, below: str) -> str:
    meta = [f"<span>{hit.rank}.</span>", f"<span>cosine {min(hit.cosine, 1):.3f}</span>"]
    if topic := hit.tags.get("topic"):
        meta.append(f"<span>{escape(topic)}</span>")
    meta += [button(hit.text, "More like this"), copy_button(hit.text)]
    return f'<li>{escape(hit.text)}<div class="sp-meta">{"".join(meta)}</div>{below}</li>'


CUT = f' <span class="sp-cut">… {FAULT_CUT}</span>'


def text_cards(
    texts: Mapping[str, Sequence[str]], adapter: str, *, done: bool, cut: Collection[str] = frozenset()
) -> str:
    """Return each model's text so far, one entry per candidate; texts in `cut` are marked as cut."""
    waiting = "<em>nothing written</em>" if done else "…"
    cards = {}
    for variant, candidates in texts.items():
        written = [(escape(text) or waiting) + (CUT if text in cut else "") for text in candidates]
        items = "".join(f'<li><span class="sp-candidate">{text}</span></li>' for text in written)
        single = len(written) == 1
        cards[variant] = f'<div class="sp-text">{written[0]}</div>' if single else f'<ol class="sp-list">{items}</ol>'
    return grid(cards, adapter)


def candidate_cards(found: Mapping[str, Sequence[Candidate]], adapter: str, sentence: str) -> str:
    """Return each model's ranked paraphrases: new words marked, lost words named, and what is wrong in words."""
    own = set(words_of(sentence))
    cards = {
        variant: f'<ol class="sp-list">{"".join(_candidate(candidate, own) for candidate in candidates)}</ol>'
        if candidates
        else _empty("nothing written")
        for variant, candidates in found.items()
    }
    return note("Underlined words are not in the sentence.") + grid(cards, adapter)


def _candidate(candidate: Candidate, own: Collection[str]) -> str:
    meta = [f"{candidate.new_words:.0%} new words"]
    if candidate.lost:
        meta.append(f"without: {escape(', '.join(candidate.lost))}")
    if candidate.preference is not None:
        meta.append(f"preference {candidate.preference:+.2f}")
    meta.append(f"cosine {candidate.cosine:.3f}")
    if candidate.times > 1:
        meta.append(f"written {candidate.times} times")
    faults = "".join(f'<b class="sp-wrong">{fault}</b>' for fault in candidate.faults if fault != FAULT_CUT)
    notes = faults + "".join(f"<span>{text}</span>" for text in meta)
    buttons = button(candidate.text, "Check similarity") + copy_button(candidate.text)
    return (
        f'<li><span class="sp-candidate">{_marked(candidate.text, own)}</span>'
        f"{CUT if FAULT_CUT in candidate.faults else ''}"
        f'<div class="sp-meta">{notes}{buttons}</div></li>'
    )


def _marked(text: str, own: Collection[str]) -> str:
    """Return a text with the words that are not in `own`, in lower case, marked."""
    parts, at = [], 0
    for match in _WORD.finditer(text):
        parts.append(escape(text[at : match.start()]))
        word = escape(match[0])
        parts.append(word if match[0].lower() in own else f'<mark class="sp-new">{word}</mark>')
        at = match.end()
    return "".join(parts) + escape(text[at:])


def _empty(text: str) -> str:
    return f'<div class="sp-text"><em>{text}</em></div>'
