"""The tables of the page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from autoscaler.simulation.figures import Figure
from autoscaler.simulation.report.values import (
    Report,
    Row,
    best_cost,
    figure_text,
    number,
    percent,
    signed_percent,
)
from autoscaler.simulation.run import Run

# What is decided on is seen at once, however narrow the window is.
FIRST = ("policy", "cost", "regret_ratio", "verdict", "verdict_reason")
# Ratios of these kinds are read more easily in percent.
IN_PERCENT = {"ratio, 1 = all": percent, "ratio, 1 = whole": percent, "ratio, 0 = none": signed_percent}
# Of a column that only this comparison has, such as the verdict.
UNKNOWN = Figure("", "", "")


def comparison(report: Report) -> str:
    """All rows with all their figures, the lowest cost marked, and its row where it is more than luck."""
    present = list(dict.fromkeys(key for row in report.rows for key in row))
    keys = [key for key in FIRST if key in present] + [key for key in present if key not in FIRST]
    known = {key: report.figures.get(key, UNKNOWN) for key in keys}
    heads = "".join(_head(key, figure) for key, figure in known.items())
    best = best_cost(report)
    rows = "\n".join(_row(known, row, _mark(report, row, best)) for row in report.rows)
    return f"{_wide('sortable', heads, rows)}\n{_note(report)}"


@dataclass(frozen=True, slots=True)
class _Mark:
    """Whether a row has the lowest cost, and whether the verdicts say so too."""

    cheapest: bool
    told: bool


def _mark(report: Report, row: Row, best: float | None) -> _Mark:
    cheapest = best is not None and row.get("policy") != report.bound and number(row.get("cost")) == best
    return _Mark(cheapest, cheapest and _is_told(report, row))


def _is_told(report: Report, row: Row) -> bool:
    """Whether the cheapest is better than the first one, or is the first one and all others are worse."""
    if row.get("verdict") is not None:
        return bool(row["verdict"] == "better")
    others = [other for other in report.rows if other is not row and other.get("policy") != report.bound]
    return bool(others) and all(other.get("verdict") == "worse" for other in others)


def _note(report: Report) -> str:
    beside = "" if report.bound is None else f", {report.bound} left aside"
    words = (
        f"★: the lowest cost{beside}. Its row is green where the verdicts say that this is more than luck: it is "
        "better than the first policy, or it is the first and all others are worse. Ratios are in percent here."
    )
    return f'<p class="note">{escape(words)}</p>'


def _head(key: str, figure: Figure) -> str:
    name = escape(key).replace("_", "_<wbr>")
    unit = "percent" if figure.unit in IN_PERCENT else figure.unit
    below = f'<span class="unit">{escape(unit)}</span>' if unit else ""
    return f'<th scope="col" title="{escape(figure.meaning)}"><button type="button">{name}{below}</button></th>'


def _row(figures: Mapping[str, Figure], row: Row, mark: _Mark) -> str:
    cells = "".join(
        _cell(row.get(key), figure.unit, mark=" ★" if mark.cheapest and key == "cost" else "")
        for key, figure in figures.items()
    )
    return f'<tr class="best">{cells}</tr>' if mark.told else f"<tr>{cells}</tr>"


def _cell(value: Any, unit: str, mark: str) -> str:
    known = number(value)
    sort_by = "" if value is None or value != value else str(value if known is None else known)  # noqa: PLR0124 -- NaN
    kind = "" if isinstance(value, str) else ' class="number"'
    in_percent = IN_PERCENT.get(unit)
    text = figure_text(value) if known is None or in_percent is None else in_percent(known)
    return f'<td{kind} data-value="{escape(sort_by)}">{escape(text)}{mark}</td>'


def meanings(report: Report) -> str:
    """What the figures of the table mean."""
    present = {key for row in report.rows for key in row}
    known = [(key, figure.unit, figure.meaning) for key, figure in report.figures.items() if key in present]
    return _table(("figure", "unit", "meaning"), known)


def moves(run: Run) -> str:
    """Where the script of the page lists the moves of a run, a page at a time."""
    count = "1 move" if len(run.moves) == 1 else f"{len(run.moves)} moves"
    choice = (
        '<p><label>with the words <input type="search"></label> <button type="button">earlier</button> '
        '<button type="button">later</button> <output></output></p>\n'
    )
    heads = ("time", "host", "workers", "moved MiB", "into swap MiB", "why")
    listing = choice + _table(heads, ()) if run.moves else ""
    return f'<details class="moves"><summary>{escape(run.policy)}: {count}</summary>\n{listing}</details>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "\n".join(f"<tr>{''.join(_plain_cell(value) for value in row)}</tr>" for row in rows)
    return _wide("plain", head, body)


def _wide(kind: str, head: str, body: str) -> str:
    return (
        f'<div class="wide"><table class="{kind}">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _plain_cell(value: Any) -> str:
    kind = "" if isinstance(value, str) else ' class="number"'
    return f"<td{kind}>{escape(str(value))}</td>"
