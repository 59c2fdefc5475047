"""The page: tables and plots of a comparison in one file, with plotly.js, the styles and the data in it."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from autoscaler.simulation.report import tables
from autoscaler.simulation.report.moves import moves
from autoscaler.simulation.report.plots import Plot, plots
from autoscaler.simulation.report.values import Report

# The browser itself keeps the page from loading anything; blob: and data: are how a plot is saved as a picture.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"


def html(report: Report) -> str:
    """One HTML file, which is the same to the last byte for the same report."""
    drawn = [plot for plot in plots(report) if plot.data]
    body = (
        f"<h1>{escape(report.title)}</h1>",
        f'<div class="given">{_listing("Scenario", report.scenario)}{_listing("Workload", report.workload)}</div>',
        "<h2>Policies</h2>",
        tables.comparison(report),
        *(_place(plot) for plot in drawn),
        "<h2>Moves</h2>",
        *(tables.moves(run) for run in report.runs),
        f"<h2>What the figures mean</h2>\n{tables.meanings(report)}",
        f'<script type="application/json" id="plots">{_json_in_html([asdict(plot) for plot in drawn])}</script>',
        f'<script type="application/json" id="moves">{_json_in_html(moves(report))}</script>',
        f"<script>{get_plotlyjs()}</script>",
        f"<script>{_part('page.js')}</script>",
    )
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title>\n<style>{_part('page.css')}</style>\n</head>\n<body>",
            *body,
            "</body>\n</html>\n",
        )
    )


def _listing(title: str, lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<section><h2>{title}</h2><ul>{items}</ul></section>"


def _place(plot: Plot) -> str:
    note = f'<p class="note">{escape(plot.note)}</p>'
    return f'<section class="plot"><h2>{escape(plot.title)}</h2>{note}<div id="{plot.name}"></div></section>'


def _json_in_html(values: Any) -> str:
    # Only "<" can end a script element, and it can stand only within the strings of a JSON text.
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
