"""What a comparison says, and its numbers in few letters."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from autoscaler.simulation.figures import Figure
from autoscaler.simulation.run import Run

Row = Mapping[str, Any]

MISSING = "-"


@dataclass(frozen=True, slots=True)
class Report:
    """Policies on one workload.

    ``start`` is when the workload begins, in the time zone that times are shown in. ``figures`` says what the
    keys of ``rows`` mean. A row and a run belong together by their ``policy``. ``bound`` is the policy that knows the
    future: what it costs is the bound, so it is never called the best.
    """

    title: str
    start: datetime
    scenario: tuple[str, ...]
    workload: tuple[str, ...]
    figures: Mapping[str, Figure]
    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    bound: str | None = None


def best_cost(report: Report) -> float | None:
    """The lowest cost of a policy that does not know the future; ``None`` when no cost is known."""
    costs = (number(row.get("cost")) for row in report.rows if row.get("policy") != report.bound)
    return min((cost for cost in costs if cost is not None), default=None)


def number(value: Any) -> float | None:
    """A figure as a number; ``None`` for text, for what is missing, and for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def figure_text(value: Any) -> str:
    """A figure in at most four digits, more only before the point."""
    if value is None or value != value:  # noqa: PLR0124 -- only NaN differs from itself
        return MISSING
    if isinstance(value, list | tuple):
        return " to ".join(map(figure_text, value))
    if not isinstance(value, float) or not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 -- where 4 digits end


def percent(value: float) -> str:
    """A share in percent."""
    return f"{value:.1%}"


def signed_percent(value: float) -> str:
    """What is more or less than another, in percent of that."""
    return f"{value:+.1%}" if abs(value) < 1 else f"{value:+.0%}"
