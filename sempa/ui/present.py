"""Plain answers to HTML: every text from outside is escaped, every figure has its unit or its meaning beside it."""

from collections.abc import Mapping, Sequence
from html import escape

from sempa.evidence.results import ResultTable
from sempa.studio import RankedHit
from sempa.templates import SentenceTemplate

MODEL_NAMES = {"base": "Base", "sempa": "SemPA"}

CSS = """
.gradio-container {max-width: 1080px !important; width: 100% !important; margin: 0 auto !important}
:root {--sp-base: #64748b; --sp-sempa: #0f766e; --sp-base-soft: #64748b22; --sp-sempa-soft: #0f766e22}
.dark {--sp-base: #a9b6c8; --sp-sempa: #3fd0bd; --sp-base-soft: #a9b6c81f; --sp-sempa-soft: #3fd0bd1f}
.sp-head h1 {font-size: 1.55rem; font-weight: 700; margin: .2rem 0 .15rem; letter-spacing: -.01em}
.sp-head p {margin: 0 0 .5rem; color: var(--body-text-color-subdued)}
.sp-chips {display: flex; flex-wrap: wrap; gap: .35rem; margin-bottom: .3rem}
.sp-chip {font-size: .78rem; padding: .12rem .55rem; border-radius: 999px;
  border: 1px solid var(--border-color-primary);
  color: var(--body-text-color-subdued); overflow-wrap: anywhere}
.sp-grid {display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); gap: .8rem}
.sp-card {border: 1px solid var(--border-color-primary); border-top: 3px solid var(--sp-c); border-radius: 10px;
  padding: .75rem .9rem .85rem; background: var(--block-background-fill); min-width: 0}
.sp-card.base {--sp-c: var(--sp-base); --sp-soft: var(--sp-base-soft)}
.sp-card.sempa {--sp-c: var(--sp-sempa); --sp-soft: var(--sp-sempa-soft)}
.sp-name {font-weight: 650; color: var(--sp-c)}
.sp-name small, .sp-note {font-weight: 400; color: var(--body-text-color-subdued); font-size: .82rem}
.sp-figure {font-size: 2.1rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.2}
.sp-bar {height: 8px; border-radius: 4px; background: var(--sp-soft); overflow: hidden; margin: .35rem 0 .45rem}
.sp-bar span {display: block; height: 100%; background: var(--sp-c)}
.sp-list {list-style: none; margin: .5rem 0 0; padding: 0}
.sp-list li {padding: .5rem 0; border-top: 1px solid var(--border-color-primary); overflow-wrap: anywhere}
.sp-list .sp-meta {display: flex; flex-wrap: wrap; gap: .2rem .7rem; font-size: .8rem; margin-top: .1rem;
  color: var(--body-text-color-subdued); font-variant-numeric: tabular-nums}
.sp-move {color: var(--sp-c); font-weight: 600}
.sp-text {white-space: pre-wrap; overflow-wrap: anywhere; margin: .45rem 0 0}
.sp-table {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem}
.sp-table th, .sp-table td {padding: .3rem .5rem; text-align: right;
  border-bottom: 1px solid var(--border-color-primary)}
.sp-table th:first-child, .sp-table td:first-child, .sp-facts td {text-align: left}
.sp-facts {margin-bottom: 1rem}
.sp-table caption {text-align: left; padding: .3rem 0; color: var(--body-text-color-subdued); font-size: .85rem}
.sp-scroll {overflow-x: auto}
.sp-say {padding: .7rem .9rem; border-radius: 10px; border: 1px dashed var(--border-color-primary);
  color: var(--body-text-color-subdued)}
.html-container {padding: 0 !important}
.main.fillable {padding: 14px clamp(10px, 3vw, 32px) !important}
.tab-container button.selected {color: var(--sp-sempa) !important}
.tab-container button {padding: 0 clamp(.35rem, 1.6vw, 1rem) !important}
"""


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
        f'<section class="sp-card {variant}" aria-label="{MODEL_NAMES[variant]} model">'
        f'<div class="sp-name">{MODEL_NAMES[variant]} <small>{notes[variant]}</small></div>{body}</section>'
        for variant, body in cards.items()
    )
    return f'<div class="sp-grid">{made}</div>'


def say(text: str) -> str:
    """Return a quiet line of status."""
    return f'<div class="sp-say" role="status">{escape(text)}</div>'


def similarity_cards(cosines: Mapping[str, float], standing: Mapping[str, float], adapter: str) -> str:
    """Return each model's cosine with, where known, how it stands among random pairs."""
    return grid({name: _cosine_body(cosine, standing.get(name)) for name, cosine in cosines.items()}, adapter)


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
        return "99.9+ %"
    return f"{share:.1%}".replace("%", " %")


def hit_cards(found: Mapping[str, Sequence[RankedHit]], adapter: str) -> str:
    """Return each model's hits with cosine, tags and the rank under the other model."""
    return grid({variant: _hits_body(hits, _other(variant)) for variant, hits in found.items()}, adapter)


def _other(variant: str) -> str:
    return MODEL_NAMES["sempa" if variant == "base" else "base"]


def _hits_body(hits: Sequence[RankedHit], other: str) -> str:
    return f'<ol class="sp-list">{"".join(_hit_item(ranked, other) for ranked in hits)}</ol>'


def _hit_item(ranked: RankedHit, other: str) -> str:
    hit = ranked.hit
    meta = [f"<span>{hit.rank}.</span>", f"<span>cosine {min(hit.cosine, 1):.3f}</span>"]
    if ranked.other_rank is not None:
        meta.append(f'<span class="sp-move">{_move(hit.rank, ranked.other_rank, other)}</span>')
    if topic := hit.tags.get("topic"):
        meta.append(f"<span>{escape(topic)}</span>")
    return f'<li>{escape(hit.text)}<div class="sp-meta">{"".join(meta)}</div></li>'


def _move(rank: int, other_rank: int, other: str) -> str:
    if other_rank == rank:
        return f"same rank in {other}"
    arrow = "▲" if rank < other_rank else "▼"
    return f"{arrow} rank {other_rank:,} in {other}"


def text_cards(texts: Mapping[str, Sequence[str]], adapter: str, *, done: bool) -> str:
    """Return what each model has written so far, one entry a candidate."""
    return grid({variant: _texts_body(candidates, done) for variant, candidates in texts.items()}, adapter)


def _texts_body(candidates: Sequence[str], done: bool) -> str:
    if len(candidates) == 1:
        return f'<div class="sp-text">{escape(candidates[0]) or _empty(done)}</div>'
    items = "".join(f"<li>{escape(text) or _empty(done)}</li>" for text in candidates)
    return f'<ol class="sp-list">{items}</ol>'


def _empty(done: bool) -> str:
    return "<em>nothing written</em>" if done else "…"


def measured(table: ResultTable) -> str:
    """Return a measured result as a table, how it was measured above it."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in table.head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return (
        f'<div class="sp-scroll"><table class="sp-table"><caption>{escape(table.about)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def fact_table(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values as a two-column table."""
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows)
    return f'<div class="sp-scroll"><table class="sp-table sp-facts"><tbody>{body}</tbody></table></div>'


def paraphrase_choices() -> list[tuple[str, str]]:
    """Return the five templates as (shown, value), each shown with its words."""
    from sempa.templates import PARAPHRASE_TEMPLATES

    return [(f"{name}: {SentenceTemplate.paraphrase(name).render('…')}", name) for name in PARAPHRASE_TEMPLATES]
