"""Plain answers to HTML: every text from outside is escaped, every figure has its unit or its meaning beside it."""

from collections.abc import Mapping, Sequence
from html import escape

from sempa.embedding.ranking import RankedHit
from sempa.evaluation.candidates import Candidate
from sempa.templates import SentenceTemplate

MODEL_NAMES = {"base": "Base", "sempa": "SemPA"}


def header(chips: Sequence[str]) -> str:
    """Return the page's head: what this is, and what runs."""
    marks = "".join(f'<span class="sp-chip">{escape(chip)}</span>' for chip in chips)
    return (
        '<div class="sp-head"><h1>SemPA Studio</h1><p>One language model, twice: as it was, and aligned so that its '
        "sentence embeddings mean more. See what it gains, and what it costs.</p>"
        f'<div class="sp-chips">{marks}</div></div>'
    )


def grid(cards: Mapping[str, str], adapter: str) -> str:
    """Return a card a model, side by side where there is room; the aligned one's names its adapter."""
    notes = {"base": "adapter off", "sempa": f"adapter {escape(adapter)}"}
    made = "".join(
        f'<div role="group" class="sp-card {variant}" aria-label="{MODEL_NAMES[variant]} model">'
        f'<div class="sp-name">{MODEL_NAMES[variant]} <small>{notes[variant]}</small></div>{body}</div>'
        for variant, body in cards.items()
    )
    return f'<div class="sp-grid">{made}</div>'


def say(text: str) -> str:
    """Return a quiet line of status."""
    return f'<div class="sp-say" role="status">{escape(text)}</div>'


def similarity_cards(cosines: Mapping[str, float], percentiles: Mapping[str, float], adapter: str) -> str:
    """Return each model's cosine with, where known, how it stands among random pairs."""
    return grid({name: _cosine_body(cosine, percentiles.get(name)) for name, cosine in cosines.items()}, adapter)


def _cosine_body(cosine: float, share: float | None) -> str:
    body = f'<div class="sp-figure">{cosine:.3f}</div>'
    if share is None:
        return f'{body}<div class="sp-bar"><span style="width:{max(cosine, 0):.1%}"></span></div>'
    return (
        f'{body}<div class="sp-bar"><span style="width:{share:.1%}"></span></div>'
        f'<div class="sp-note">closer than {_percent(share)} of random pairs of demo sentences, as this model sees '
        "them</div>"
    )


def _percent(share: float) -> str:
    if share > 0.999:
        return "99.9+%"
    return f"{share:.1%}"


def hit_cards(found: Mapping[str, Sequence[RankedHit]], adapter: str) -> str:
    """Return each model's hits with cosine, tags and how each moves from the base's ranking to the aligned one's."""
    return told_cards({variant: [(ranked, "") for ranked in hits] for variant, hits in found.items()}, adapter)


def told_cards(found: Mapping[str, Sequence[tuple[RankedHit, str]]], adapter: str) -> str:
    """Return `hit_cards` with something told, as HTML, under each hit."""
    lengths = {variant: len(hits) for variant, hits in found.items()}
    cards = {}
    for variant, hits in found.items():
        shown = [length for other, length in lengths.items() if other != variant]
        cards[variant] = _hits_body(hits, variant, shown[0] if shown else None)
    return grid(cards, adapter)


def _hits_body(hits: Sequence[tuple[RankedHit, str]], variant: str, others: int | None) -> str:
    if not hits:
        return '<div class="sp-text"><em>no hit is that close</em></div>'
    return f'<ol class="sp-list">{"".join(_hit_item(ranked, told, variant, others) for ranked, told in hits)}</ol>'


def _hit_item(ranked: RankedHit, told: str, variant: str, others: int | None) -> str:
    hit = ranked.hit
    meta = [f"<span>{hit.rank}.</span>", f"<span>cosine {min(hit.cosine, 1):.3f}</span>"]
    if others is not None:
        kind, words = _move(variant, hit.rank, ranked.other_rank, others)
        meta.append(f'<span class="sp-move {kind}">{words}</span>')
    if topic := hit.tags.get("topic"):
        meta.append(f"<span>{escape(topic)}</span>")
    meta.append(f'<button type="button" class="sp-send" data-text="{escape(hit.text)}">more like this</button>')
    return f'<li>{escape(hit.text)}<div class="sp-meta">{"".join(meta)}</div>{told}</li>'


def _move(variant: str, rank: int, other_rank: int | None, others: int) -> tuple[str, str]:
    """Return the kind of a text's move from the base's ranking to the aligned one's, and its words in this column.

    `others` is the number of hits the other column shows: what it does not show is new here, or gone there.
    """
    aligned = variant == "sempa"
    other = MODEL_NAMES["base" if aligned else "sempa"]
    if other_rank is None or other_rank > others:
        there = f"far down in {other}" if other_rank is None else f"rank {other_rank:,} in {other}"
        return ("new", f"✦ new, {there}") if aligned else ("gone", f"gone, {there}")
    if other_rank == rank:
        return "same", f"= same rank in {other}"
    before, after = (other_rank, rank) if aligned else (rank, other_rank)
    kind, arrow = ("up", "▲") if after < before else ("down", "▼")
    return kind, f"{arrow} {kind} {abs(after - before)}, rank {other_rank:,} in {other}"


def text_cards(texts: Mapping[str, Sequence[str]], adapter: str, *, done: bool) -> str:
    """Return what each model has written so far, one entry a candidate."""
    return grid({variant: _texts_body(candidates, done) for variant, candidates in texts.items()}, adapter)


def _texts_body(candidates: Sequence[str], done: bool) -> str:
    if len(candidates) == 1:
        return f'<div class="sp-text">{escape(candidates[0]) or _empty(done)}</div>'
    items = "".join(f'<li><span class="sp-candidate">{escape(text) or _empty(done)}</span></li>' for text in candidates)
    return f'<ol class="sp-list">{items}</ol>'


def candidate_cards(found: Mapping[str, Sequence[Candidate]], adapter: str) -> str:
    """Return each model's judged paraphrases, each with a button that sends it to Similarity."""
    return grid({variant: _candidates_body(candidates) for variant, candidates in found.items()}, adapter)


def _candidates_body(candidates: Sequence[Candidate]) -> str:
    if not candidates:
        return f'<div class="sp-text">{_empty(done=True)}</div>'
    items = []
    for candidate in candidates:
        kept = f"cosine {candidate.cosine:.3f}"
        if candidate.percentile is not None:
            kept += f", closer than {_percent(candidate.percentile)} of random pairs"
        meta = [kept, f"{_percent(candidate.new_words)} new words"]
        if candidate.times > 1:
            meta.append(f"written {candidate.times} times")
        notes = "".join(f"<span>{note}</span>" for note in meta)
        button = f'<button type="button" class="sp-send" data-text="{escape(candidate.text)}">compare</button>'
        items.append(
            f'<li><span class="sp-candidate">{escape(candidate.text)}</span><div class="sp-meta">{notes}{button}</div>'
            "</li>"
        )
    return f'<ol class="sp-list">{"".join(items)}</ol>'


def _empty(done: bool) -> str:
    return "<em>nothing written</em>" if done else "…"


def fact_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a two-column table."""
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return scrollable(f'<table class="sp-table sp-facts"><tbody>{body}</tbody></table>')


def scrollable(table: str, more: str = "") -> str:
    """Return a table in a frame that scrolls where it is too wide, by keys too; `more` adds classes."""
    return f'<div class="{" ".join(filter(None, ("sp-scroll", more)))}" tabindex="0">{table}</div>'


def paraphrase_choices() -> list[tuple[str, str]]:
    """Return the five templates as (shown, value), each shown with its words."""
    from sempa.templates import PARAPHRASE_TEMPLATES

    return [(f"{name}: {SentenceTemplate.paraphrase(name).render('…')}", name) for name in PARAPHRASE_TEMPLATES]
