"""Measured results as HTML tables."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from sempa.evaluation.tables import ResultTable, result_table
from sempa.evaluation.verdicts import title, verdict
from sempa.ui.present import MODEL_NAMES, note, table

OPEN = ("sts", "generation")
"""Results unfolded initially: the main gain and its cost."""


def measured(result: ResultTable) -> str:
    """Return a result as a table, with the note on its measurement above."""
    head = [MODEL_NAMES.get(name, name) for name in result.head]
    return note(result.about) + table(head, [[_cell(cell) for cell in row] for row in result.rows])


def _cell(text: str) -> str:
    """Return a cell's text: an interval stays on one line; a task's name may wrap between words."""
    return escape(text).replace(" to ", "&nbsp;to&nbsp;").replace("_", "_<wbr>")


def evidence(results: Sequence[Mapping[str, Any]]) -> str:
    """Return results as lines that unfold to tables: gains first, then costs."""
    shown = [(title(result), verdict(result), result) for result in sorted(results, key=_place)]
    return "".join(
        f"<details class='sp-result'{' open' if result.get('what') in OPEN else ''}>"
        f"<summary><b>{escape(name)}</b> {escape(line)}</summary>{measured(result_table(result))}</details>"
        for name, line, result in shown
    )


def _place(result: Mapping[str, Any]) -> tuple[int, int]:
    if result["what"] not in OPEN:
        return len(OPEN), 0
    return OPEN.index(result["what"]), -len(result.get("sets") or result["tasks"])
