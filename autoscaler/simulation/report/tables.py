"""The tables of the page."""

from collections.abc import Iterable
from html import escape
from typing import Any

from autoscaler.simulation.figures import Figure
from autoscaler.simulation.report.values import Report, Row, best_cost, figure_text, number
from autoscaler.simulation.run import Run

# What is decided on is seen at once, however narrow the window is.
FIRST = ("policy", "cost", "regret_ratio", "verdict")
# Of a column that only this comparison has, such as the verdict.
UNKNOWN = Figure("", "", "")


def comparison(report: Report) -> str:
    """All rows with all their figures, the best cost marked."""
    present = list(dict.fromkeys(key for row in report.rows for key in row))
    keys = [key for key in FIRST if key in present] + [key for key in present if key not in FIRST]
    heads = "".join(_head(key, report.figures.get(key, UNKNOWN)) for key in keys)
    best = best_cost(report)
    rows = "\n".join(_row(keys, row, best=best is not None and _is_best(report, row, best)) for row in report.rows)
    return _wide("sortable", heads, rows)


def _is_best(report: Report, row: Row, best: float) -> bool:
    return row.get("policy") != report.bound and number(row.get("cost")) == best


def _head(key: str, figure: Figure) -> str:
    name = escape(key).replace("_", "_<wbr>")
    below = f'<span class="unit">{escape(figure.unit)}</span>' if figure.unit else ""
    return f'<th scope="col" title="{escape(figure.meaning)}"><button type="button">{name}{below}</button></th>'


def _row(keys: Iterable[str], row: Row, *, best: bool) -> str:
    cells = "".join(_cell(row.get(key), mark=" ★" if best and key == "cost" else "") for key in keys)
    return f'<tr class="best">{cells}</tr>' if best else f"<tr>{cells}</tr>"


def _cell(value: Any, mark: str) -> str:
    known = number(value)
    sort_by = "" if value is None or value != value else str(value if known is None else known)  # noqa: PLR0124 -- NaN
    kind = "" if isinstance(value, str) else ' class="number"'
    return f'<td{kind} data-value="{escape(sort_by)}">{escape(figure_text(value))}{mark}</td>'


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
