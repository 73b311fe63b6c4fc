"""Evidence as HTML: measured tables and pictures, key tokens, a visitor's own pairs."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sempa.evaluation.sts import MeasuredPairs
from sempa.evaluation.tables import ResultTable, result_table
from sempa.evaluation.tokens import KeyToken
from sempa.evaluation.verdicts import title, verdict
from sempa.ui.plots import scatter
from sempa.ui.present import MODEL_NAMES, grid, say, scrollable


def measured(table: ResultTable) -> str:
    """Return a measured result as a table, how it was measured above it."""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in table.head)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    return f'<div class="sp-note">{escape(table.about)}</div>' + scrollable(
        f'<table class="sp-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _cell(text: str) -> str:
    """Return a cell's text; an interval stays on one line, a task's name may be broken between its words."""
    return escape(text).replace(" to ", "&nbsp;to&nbsp;").replace("_", "_<wbr>")


def token_cards(tokens: Mapping[str, Sequence[KeyToken]], adapter: str) -> str:
    """Return each model's key tokens as chips, marked by colour and by sign where they are the sentence's own."""
    return grid({variant: _tokens_body(found) for variant, found in tokens.items()}, adapter)


_MARKS = {"exact": ("●", "word of the sentence"), "stem": ("◐", "same stem"), "other": ("", "another word")}


def _tokens_body(tokens: Sequence[KeyToken]) -> str:
    chips = "".join(
        f'<span class="sp-token {token.match}" title="{_MARKS[token.match][1]}, score {token.score:.1f}">'
        f"{_MARKS[token.match][0]} {escape(_visible(token.text))}</span>"
        for token in tokens
    )
    own = sum(token.match != "other" for token in tokens)
    return (
        f'<div class="sp-tokens">{chips}</div><div class="sp-note">{own} of {len(tokens)} are the sentence\'s own: '
        f"● the same word, ◐ the same stem; ␣ is a space</div>"
    )


def _visible(token: str) -> str:
    """Return a token's text with the space before it made visible, as two items may differ in that alone."""
    bare = token.lstrip(" ")
    return "␣" * (len(token) - len(bare)) + bare.replace("\n", "⏎")


SHOWN_PAIRS = 10


def pairs_view(measured: MeasuredPairs, adapter: str) -> str:
    """Return a visitor's measured pairs: both models' figures and pictures, and where they disagree most."""
    pairs, gold = measured.pairs, measured.pairs.scores
    cards = {}
    for variant, cosines in measured.cosines.items():
        figure = measured.figures[variant]["spearman"]
        told = f"Cosine of {len(gold)} pairs against their score, Spearman {figure:.1f}"
        picture = scatter({"": list(zip(gold, cosines.tolist(), strict=True))}, told)
        cards[variant] = (
            f'<div class="sp-figure">{figure:.1f}</div><div class="sp-note">Spearman x100 of {len(gold):,} pairs; '
            f"across: your score, up: cosine</div>{picture}"
        )
    change = measured.figures.get("change")
    moved = ""
    if change:
        moved = say(
            f"Change {change['spearman']:+.1f}, 95% interval {change['low']:+.1f} to {change['high']:+.1f} (paired "
            f"bootstrap)."
        )
    rows = "".join(
        f"<tr><td>{escape(pairs.first[i])}<br>{escape(pairs.second[i])}</td><td>{gold[i]:g}</td>"
        f"{''.join(f'<td>{values[i]:.3f}</td>' for values in measured.cosines.values())}</tr>"
        for i in measured.disagreement()[:SHOWN_PAIRS]
    )
    heads = "".join(f"<th scope='col'>{MODEL_NAMES[variant]}</th>" for variant in measured.cosines)
    table = scrollable(
        f'<table class="sp-table"><caption>The pairs whose rank differs most between the models</caption><thead><tr>'
        f"<th scope='col'>pair</th><th scope='col'>score</th>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    )
    return f"{grid(cards, adapter)}{moved}{table}"


def evidence(results: Sequence[Mapping[str, Any]], adapter: str) -> str:
    """Return measured results, each a line that unfolds to its table, geometry's with each model's picture.

    What is gained comes first, then what it costs, each by most sets or tasks first.
    """
    return "".join(
        f"<details class='sp-result'{' open' if result['what'] in OPEN else ''}>"
        f"<summary><b>{escape(title(result))}</b> {escape(verdict(result))}</summary>"
        f"{measured(result_table(result))}{_plane(result, adapter)}</details>"
        for result in sorted(results, key=_place)
    )


OPEN = ("sts", "generation")
"""What is unfolded from the start: what is gained, and what it costs."""


def _place(result: Mapping[str, Any]) -> tuple[int, int]:
    if result["what"] not in OPEN:
        return len(OPEN), 0
    return OPEN.index(result["what"]), -len(result.get("sets") or result["tasks"])


_TRIPLET = {"anchor": "anchor", "positive": "entailment", "negative": "contradiction"}


def _plane(result: Mapping[str, Any], adapter: str) -> str:
    if result["kind"] != "geometry":
        return ""
    cards = {}
    for variant, found in result["models"].items():
        points = {_TRIPLET[name]: [(x, y) for x, y in found["plane"][name]] for name in _TRIPLET}
        shares = " and ".join(f"{share:.0%}" for share in found["plane_variance"])
        told = f"{len(points['anchor'])} triplets on the plane of the two main axes"
        cards[variant] = scatter(points, told) + f'<div class="sp-note">{told}: {shares} of the variance</div>'
    return grid(cards, adapter)
