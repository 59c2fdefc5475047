"""Policies compared: a table for a terminal, values for scripts."""

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

from rich import box
from rich.table import Table

from autoscaler.simulation.report.values import Report, Row, figure_text, number, percent, signed_percent


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 -- four letters are enough


def _amount(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"  # noqa: PLR2004 -- as above


class Column(NamedTuple):
    """One figure in few letters."""

    key: str
    head: str
    text: Callable[[float], str]


# What a choice between policies rests on; the JSON and the page have all figures.
COLUMNS = (
    Column("proof_wait_p50_s", "wait\np50\ns", _seconds),
    Column("proof_wait_p95_s", "\np95\ns", _seconds),
    Column("proof_wait_p99_s", "\np99\ns", _seconds),
    Column("waiting_over_10s_ratio", "over\n10 s", percent),
    Column("missed_arrivals_ratio", "missed", percent),
    Column("spare_workers_mean", "spare\nworkers", _amount),
    Column("wn_core_hours_lost", "WN lost\ncore h", _amount),
    Column("wn_cpu_efficiency_ratio", "WN\neff.", percent),
    Column("changes_per_day", "changes\n/day", _amount),
    Column("moved_gib_per_day", "moved\nGiB/day", _amount),
    Column("swapped_gib_per_day", "swap\nout\nGiB/d", _amount),
    Column("swap_in_gib_per_day", "\nin\nGiB/d", _amount),
    Column("cost", "cost\ncore h", _amount),
    Column("regret_ratio", "regret", signed_percent),
)


def comparison_table(rows: Iterable[Row]) -> Table:
    """A row for each policy with the figures that a choice rests on, in 120 columns; what no row has is left out."""
    rows = list(rows)
    columns = [column for column in COLUMNS if any(column.key in row for row in rows)]
    verdicts = any("verdict" in row for row in rows)
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("policy", vertical="middle", overflow="fold", max_width=20)
    for column in columns:
        table.add_column(column.head, justify="right", overflow="fold")
    if verdicts:
        table.add_column("verdict", overflow="fold")
    for row in rows:
        figures = [_figure(row, column) for column in columns]
        verdict = [figure_text(row.get("verdict"))] if verdicts else []
        table.add_row(figure_text(row.get("policy")), *figures, *verdict)
    return table


def _figure(row: Row, column: Column) -> str:
    value = number(row.get(column.key))
    return figure_text(row.get(column.key)) if value is None else column.text(value)


def comparison_json(report: Report) -> dict[str, Any]:
    """All figures with their units, and what they were made from; what is not a finite number is ``None``."""
    return {
        "title": report.title,
        "start": report.start.isoformat(),
        "scenario": list(report.scenario),
        "workload": list(report.workload),
        "bound": report.bound,
        "figures": {key: asdict(figure) for key, figure in report.figures.items()},
        "rows": [_plain(row) for row in report.rows],
    }


def _plain(row: Row) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
