"""What dashboards are made of: panels, the marks of what the controller did, and the frame around them."""

from collections.abc import Sequence
from typing import Any

SOURCE = {"type": "prometheus", "uid": "vaf-prometheus"}
# Grafana's own store of annotations, to which the controller writes its decisions under this tag.
OWN = {"type": "grafana", "uid": "-- Grafana --"}
DECISIONS = "vaf-autoscaler"
WIDTH = 24
# Of each plot, so that those above each other have one time axis, whatever their numbers.
AXIS_WIDTH_PIXELS = 70
# The span over which a counter's rate is shown: Grafana's, which is never shorter than four scrapes.
RATE = "$__rate_interval"

Panel = dict[str, Any]
Query = tuple[str, str]


def plot(title: str, unit: str, *queries: Query, stacked: bool = False, steps: bool = False, text: str = "") -> Panel:
    """A plot over time; ``queries`` are expressions with their legends."""
    panel = _panel("timeseries", title, unit, queries, text)
    panel["fieldConfig"]["defaults"]["custom"] = {
        "axisWidth": AXIS_WIDTH_PIXELS,
        "drawStyle": "line",
        "fillOpacity": 30 if stacked else 5,
        "lineInterpolation": "stepAfter" if steps else "linear",
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
    }
    panel["options"] = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel


def number(title: str, unit: str, expression: str, text: str = "") -> Panel:
    """One number, as it is now."""
    panel = _panel("stat", title, unit, ((expression, ""),), text)
    panel["options"] = {
        "colorMode": "none",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    }
    return panel


def states(title: str, *queries: Query, text: str = "") -> Panel:
    """Values as coloured bars over time."""
    panel = _panel("state-timeline", title, "none", queries, text)
    panel["fieldConfig"]["defaults"]["custom"] = {"fillOpacity": 70, "lineWidth": 0}
    panel["options"] = {
        "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "mergeValues": True,
        "rowHeight": 0.9,
        "showValue": "auto",
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel


def _panel(kind: str, title: str, unit: str, queries: tuple[Query, ...], text: str) -> Panel:
    targets = [
        {"datasource": SOURCE, "expr": expression, "legendFormat": legend, "range": True, "refId": chr(ord("A") + at)}
        for at, (expression, legend) in enumerate(queries)
    ]
    described = {"description": text} if text else {}
    return {
        "type": kind,
        "title": title,
        **described,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"custom": {}, "unit": unit}, "overrides": []},
        "options": {},
        "targets": targets,
    }


def moves(selector: str = "", *tags: str) -> list[Panel]:
    """The decisions, as marks on every plot: what Prometheus saw of them, and what the controller wrote of them."""
    delta = f"delta(autoscaler_granted_workers{selector}[{RATE}])"
    return [
        _marks("PROOF grows", "green", f"{delta} > 0", "{{host}} gets workers"),
        _marks("PROOF shrinks", "orange", f"-{delta} > 0", "{{host}} gives workers back"),
        {
            "name": "Decisions",
            "datasource": OWN,
            "enable": True,
            "iconColor": "blue",
            "target": {"type": "tags", "tags": [DECISIONS, *tags], "matchAny": False, "limit": 100},
        },
    ]


def _marks(name: str, colour: str, expression: str, title: str) -> Panel:
    return {
        "name": name,
        "datasource": SOURCE,
        "enable": True,
        "iconColor": colour,
        "target": {"expr": expression, "legendFormat": title, "range": True, "refId": "Anno"},
        "titleFormat": title,
        "tagKeys": "host",
    }


def dashboard(
    name: str,
    title: str,
    text: str,
    rows: list[list[Panel]],
    *,
    annotations: list[Panel] | None = None,
    variables: Sequence[Panel] = (),
) -> Panel:
    """A dashboard: each row shares the width among its panels; numbers are low, plots are high, wide ones less so."""
    panels: list[Panel] = []
    top = 0
    for row in rows:
        height = 4 if row[0]["type"] == "stat" else 6 if len(row) == 1 else 8
        width = WIDTH // len(row)
        for at, panel in enumerate(row):
            place = {"x": at * width, "y": top, "w": width, "h": height}
            panels.append({"id": len(panels) + 1, **panel, "gridPos": place})
        top += height
    return {
        "uid": f"vaf-{name}",
        "title": title,
        "description": text,
        "tags": ["vaf"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": annotations or moves()},
        "templating": {"list": [*variables]},
        "links": [_link()],
        "panels": panels,
    }


def _link() -> Panel:
    return {
        "asDropdown": True,
        "icon": "external link",
        "includeVars": False,
        "keepTime": True,
        "tags": ["vaf"],
        "targetBlank": False,
        "title": "VAF",
        "tooltip": "",
        "type": "dashboards",
    }
