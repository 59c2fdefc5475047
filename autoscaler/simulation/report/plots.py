"""The plots of a comparison, as plotly.js takes them: plain data and layout.

Plain values and not plotly's figures, whose checks take long for as many points: the tests let plotly judge them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np

from autoscaler.config.units import seconds_text
from autoscaler.simulation.figures import MIB_PER_GIB, experience
from autoscaler.simulation.report.thin import drawn_points, local_times, step_line, wn_efficiency
from autoscaler.simulation.report.values import Report, number
from autoscaler.simulation.run import Floats, Run

# A screen has about as many columns of pixels; four points are kept for each.
POINTS_MAX = 5000
MEMORY_POINTS_MAX = 800
BINS_MAX = 2000
# More lines at once hide each other: the cheapest are shown, the others by a click on the legend.
SHOWN = 3

# Waits have a logarithmic axis, which has no zero.
WAIT_MIN_S = 1.0

# Okabe and Ito's colours, without those that vanish on white or on black: told apart also by colour-blind readers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#A6761D", "#7F7F7F")
PROOF_COLOUR, WN_COLOUR = COLOURS[0], COLOURS[4]
# Readable on white and on black, so that the plots need not know which one the page has.
INK, FAINT, CLEAR = "#808080", "rgba(128,128,128,0.25)", "rgba(0,0,0,0)"

Trace = dict[str, Any]


class Look(NamedTuple):
    """How a run is drawn; ``visible`` in plotly.js's words."""

    colour: str
    visible: bool | str


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot; without data there is nothing to draw."""

    name: str
    title: str
    note: str
    data: list[Trace]
    layout: dict[str, Any]


def plots(report: Report) -> tuple[Plot, ...]:
    """All plots of a comparison, in the order of the page."""
    return (workers(report), memory(report), efficiency(report), waits(report), costs(report))


def workers(report: Report) -> Plot:
    """Demand and supply of each policy over time, and its moves."""
    data = [trace for run, look in _looks(report) if run.course.at_s.size for trace in _workers(report, run, look)]
    note = (
        "Solid: workers that are there. Dotted: what the sessions in the facility want, waiting or running. Circles: "
        "moves on a host, with their reasons; where there are too many, some of them, and a closer look shows all. A "
        "click on the legend shows or hides a policy, two show it alone."
    )
    return Plot("workers", "Workers", note, data, _layout(420, xaxis=_time_axis(report), yaxis=_axis("workers")))


def _workers(report: Report, run: Run, look: Look) -> list[Trace]:
    lines = (
        ("granted", run.course.supply, {"shape": "hv", "color": look.colour}),
        ("wanted", run.course.demand, {"shape": "hv", "color": look.colour, "dash": "dot", "width": 1}),
    )
    traces = []
    for name, values, style in lines:
        at_s, drawn = step_line(run.course.at_s, values, run.duration_s, POINTS_MAX)
        hover = f"%{{fullData.name}}: %{{y}} workers {name}<extra></extra>"
        traces.append(_line(local_times(report.start, at_s), drawn, style) | {"hovertemplate": hover})
    traces.append(_moves(look))
    shared = {"name": plotly_text(run.policy), "legendgroup": run.policy, "visible": look.visible}
    return [trace | shared | {"showlegend": place == 0} for place, trace in enumerate(traces)]


def _moves(look: Look) -> Trace:
    """The script of the page fills it with the moves of the time that is looked at."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "text": [],
        "hovertemplate": "%{x}<br>%{text}<extra></extra>",
        "marker": {"color": CLEAR, "size": 7, "line": {"color": look.colour, "width": 1}},
    }


def memory(report: Report) -> Plot:
    """The memory of both kinds of domains over time, one above the other, a row for each policy."""
    runs = [run for run in report.runs if run.cycles.proof_memory_mib.size]
    data = [trace for row, run in enumerate(runs, start=1) for trace in _memory(report, run, row)]
    rows = range(1, len(runs) + 1)
    layout = _layout(90 + 110 * len(runs), xaxis=_time_axis(report))
    layout |= {_nth("yaxis", row): _axis("GiB", rangemode="tozero") for row in rows}
    layout["grid"] = {"subplots": [[f"x{_nth('y', row)}"] for row in rows], "ygap": 0.3}
    layout["annotations"] = [_heading(run.policy, _nth("y", row)) for row, run in enumerate(runs, start=1)]
    note = "All domains of a kind together, as each cycle finds them: what PROOF gets, the Worker Nodes give."
    return Plot("memory", "Memory", note, data, layout)


def _memory(report: Report, run: Run, row: int) -> list[Trace]:
    cycles = run.cycles
    at_s = np.arange(cycles.proof_memory_mib.size, dtype=np.float64) * cycles.interval_s
    kinds = (("PROOF", PROOF_COLOUR, cycles.proof_memory_mib), ("WN", WN_COLOUR, cycles.wn_memory_mib))
    drawn = np.unique(np.concatenate([drawn_points(at_s, mib, MEMORY_POINTS_MAX) for _, _, mib in kinds]))
    times = local_times(report.start, at_s[drawn])
    return [
        _line(times, np.round(mib[drawn] / MIB_PER_GIB, 3), {"shape": "hv", "color": colour, "width": 1})
        | {"name": name, "legendgroup": name, "showlegend": row == 1, "yaxis": _nth("y", row), "stackgroup": "all"}
        for name, colour, mib in kinds
    ]


def _heading(name: str, axis: str) -> dict[str, Any]:
    where = {"xref": "paper", "x": 0.5, "xanchor": "center", "yref": f"{axis} domain", "y": 1, "yanchor": "bottom"}
    return {"text": plotly_text(name), "showarrow": False, **where}


def efficiency(report: Report) -> Plot:
    """How much of the CPU time that the batch jobs wanted they got, over time."""
    data, bin_s = [], 0.0
    for run, look in _looks(report):
        if run.cycles.wn_wanted_core_s.size:
            at_s, ratio, bin_s = wn_efficiency(run.cycles, BINS_MAX)
            line = _line(local_times(report.start, at_s), np.round(ratio, 4), {"shape": "hv", "color": look.colour})
            data.append(line | {"name": plotly_text(run.policy), "visible": look.visible})
    note = (
        "CPU time that the batch jobs got, of what they would have used with the machines to themselves. "
        f"A value for each {seconds_text(bin_s)}; none where no job wanted any."
    )
    layout = _layout(320, xaxis=_time_axis(report), yaxis=_axis("used / wanted", tickformat=".0%"))
    return Plot("efficiency", "Worker Node CPU efficiency", note, data, layout)


def waits(report: Report) -> Plot:
    """The share of sessions that waited at most so long."""
    data = []
    for run, look in _looks(report):
        if run.sessions:
            waited_s, share = _distribution(experience(run).wait_s)
            line = _line(waited_s.tolist(), share, {"shape": "hv", "color": look.colour})
            data.append(line | {"name": plotly_text(run.policy)})
    note = (
        f"Share of the sessions that had their workers after so long. Less than {WAIT_MIN_S:g} s is drawn as "
        f"{WAIT_MIN_S:g} s; a session that never had them waited until the end."
    )
    axes = {"xaxis": _axis("seconds waited", type="log"), "yaxis": _axis("share of sessions", tickformat=".0%")}
    return Plot("waits", "Waits of PROOF sessions", note, data, _layout(360, **axes))


def _distribution(waits_s: Floats) -> tuple[Floats, Floats]:
    waited_s, counts = np.unique(np.maximum(waits_s, WAIT_MIN_S).round(1), return_counts=True)
    share = np.round(np.cumsum(counts) / waits_s.size, 5)
    drawn = drawn_points(np.log10(waited_s), share, BINS_MAX)
    return waited_s[drawn], share[drawn]


def costs(report: Report) -> Plot:
    """What each policy costs, divided into the waiting of sessions and the lost work of batch jobs."""
    known = [
        (plotly_text(str(row.get("policy"))), cost - lost, lost)
        for row in report.rows
        if (cost := number(row.get("cost"))) is not None and (lost := number(row.get("wn_core_hours_lost"))) is not None
    ]
    policies, waiting, losing = zip(*known, strict=True) if known else ((), (), ())
    parts = (("sessions wait", waiting, PROOF_COLOUR), ("WN lost", losing, WN_COLOUR)) if known else ()
    data: list[Trace] = [
        {"type": "bar", "name": name, "x": list(policies), "y": list(hours), "marker": {"color": colour}}
        for name, hours, colour in parts
    ]
    note = (
        "Waiting is charged with the scenario's price; both in core hours of batch work. What batch jobs lost is only "
        "delay where the farm is not full."
    )
    # Else labels that are numbers would become places on an axis of numbers.
    layout = _layout(360, xaxis=_axis("", type="category"), yaxis=_axis("core hours"), barmode="stack")
    return Plot("costs", "Cost", note, data, layout)


def plotly_text(text: str) -> str:
    """Text as it is: plotly.js takes some HTML in names and labels for its own."""
    return escape(text, quote=False)


def _line(x: Sequence[Any], y: Floats, style: dict[str, Any]) -> Trace:
    values = [None if value != value else value for value in y.tolist()]  # noqa: PLR0124 -- only NaN does
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": values, "line": style}


def _looks(report: Report) -> list[tuple[Run, Look]]:
    """Each run with its colour, and whether it is shown at once."""
    cost = {row.get("policy"): number(row.get("cost")) for row in report.rows}
    unknown_last = [math.inf if (known := cost.get(run.policy)) is None else known for run in report.runs]
    shown = sorted(range(len(report.runs)), key=unknown_last.__getitem__)[:SHOWN]
    return [
        (run, Look(COLOURS[place % len(COLOURS)], True if place in shown else "legendonly"))
        for place, run in enumerate(report.runs)
    ]


def _layout(height_px: int, **more: Any) -> dict[str, Any]:
    return {
        "height": height_px,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": INK, "family": "system-ui, sans-serif", "size": 12},
        "margin": {"l": 60, "r": 10, "t": 30, "b": 45},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "hoverlabel": {"align": "left"},
        **more,
    }


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, "gridcolor": FAINT, "linecolor": FAINT, "zeroline": False, **more}


def _time_axis(report: Report) -> dict[str, Any]:
    # Dates stand in two lines under the hours.
    axis = _axis(f"time ({plotly_text(str(report.start.tzinfo))})", type="date", automargin=True)
    axis["title"]["standoff"] = 12
    return axis


def _nth(name: str, place: int) -> str:
    """plotly.js counts axes from y, y2, y3."""
    return name if place == 1 else f"{name}{place}"
