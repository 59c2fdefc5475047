"""Writes Grafana's dashboards, and its own alert rules from those of Prometheus: one place for what is asked.

After a change here or in deploy/prometheus/*.rules.yml: ``python deploy/grafana/make.py``.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

HERE = Path(__file__).parent
RULES = sorted((HERE.parent / "prometheus").glob("*.rules.yml"))

SOURCE = {"type": "prometheus", "uid": "vaf-prometheus"}
# Grafana's own store of annotations, to which the controller writes its decisions under this tag.
OWN = {"type": "grafana", "uid": "-- Grafana --"}
DECISIONS = "vaf-autoscaler"
FOLDER = "VAF"
WIDTH = 24
LOOK_BACK_S = 600
LESS_THAN_ANY = -1_000_000_000_000

Panel = dict[str, Any]
Query = tuple[str, str]

BUSY = 'sum(proof_sessions{state=~"running|starting|unknown"})'
RATE = "$__rate_interval"
OF_HOST = 'host="$host"'


def plot(title: str, unit: str, *queries: Query, stacked: bool = False, steps: bool = False, text: str = "") -> Panel:
    """A plot over time; ``queries`` are expressions with their legends."""
    panel = _panel("timeseries", title, unit, queries, text)
    panel["fieldConfig"]["defaults"]["custom"] = {
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


def hosts() -> Panel:
    """The variable that chooses a host."""
    query = "label_values(autoscaler_host_state, host)"
    return {
        "type": "query",
        "name": "host",
        "label": "Host",
        "datasource": SOURCE,
        "query": {"query": query, "refId": "hosts"},
        "refresh": 2,
        "sort": 1,
    }


def dashboard(name: str, title: str, text: str, rows: list[list[Panel]], **more: Any) -> Panel:
    """A dashboard: each row shares the width among its panels; numbers are low, plots are high."""
    panels, top = [], 0
    for row in rows:
        height = 4 if row[0]["type"] == "stat" else 8
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
        "annotations": {"list": more.get("annotations") or moves()},
        "templating": {"list": more.get("variables") or []},
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


def facility() -> Panel:
    """Queue, workers, and what both kinds of domains have, on one time axis."""
    quantile = f"sum by (le) (rate(autoscaler_transfer_duration_seconds_bucket[{RATE}]))"
    spent, cycles = (f"sum by (part) (rate(autoscaler_cycle_duration_seconds_{of}[{RATE}]))" for of in ("sum", "count"))
    rows = [
        [
            number("Sessions that wait", "none", "sum(proof_queue_depth)"),
            number("Sessions that run", "none", BUSY),
            number("Workers", "none", "facility:autoscaler_observed_workers:sum"),
            number("No room for", "none", "autoscaler_unplaced_workers", "Workers that are wanted and found no host."),
            number("Hosts in quarantine", "none", "sum(autoscaler_host_quarantined)"),
            number("Age of the newest cycle", "s", "time() - autoscaler_last_cycle_timestamp_seconds"),
        ],
        [
            plot("PROOF sessions", "none", ("sum(proof_queue_depth)", "wait"), (BUSY, "run"), steps=True),
            plot(
                "Workers",
                "none",
                ('autoscaler_demand_workers{policy="acting"}', "demand"),
                ("facility:autoscaler_wanted_workers:sum", "wanted"),
                ("facility:autoscaler_granted_workers:sum", "granted"),
                ("facility:autoscaler_observed_workers:sum", "there"),
                steps=True,
                text="Demand: of the policy. Wanted: with a host. Granted: after the guards. There: as read back.",
            ),
        ],
        [
            plot("Memory", "bytes", ("facility_role:autoscaler_memory_bytes:sum", "{{role}}"), stacked=True),
            plot(
                "CPU in use, in cores",
                "none",
                (f"sum by (role) (rate(autoscaler_cpu_seconds_total[{RATE}]))", "{{role}}"),
                stacked=True,
            ),
        ],
        [
            states("Workers of each host", ("autoscaler_observed_workers", "{{host}}")),
            plot(
                "Cuts by guard",
                "none",
                (f"sum by (guard) (increase(autoscaler_guard_cuts_total[{RATE}]))", "{{guard}}"),
            ),
        ],
        [
            plot(
                "Transfers by result",
                "none",
                (f"sum by (result) (increase(autoscaler_transfers_total[{RATE}]))", "{{result}}"),
            ),
            plot(
                "How long transfers take",
                "s",
                (f"histogram_quantile(0.5, {quantile})", "median"),
                (f"histogram_quantile(0.95, {quantile})", "95 %"),
            ),
            plot(
                "Annotations",
                "none",
                ("autoscaler_annotations_waiting", "wait for Grafana"),
                (f"sum by (result) (increase(autoscaler_annotations_total[{RATE}]))", "{{result}}"),
                text="Of decisions, where grafana.url is configured.",
            ),
        ],
        [
            plot("Age of signals", "s", ("autoscaler_signal_age_seconds", "{{signal}}")),
            plot(
                "How long cycles take",
                "s",
                (f"{spent} / {cycles}", "{{part}}"),
                stacked=True,
            ),
            plot(
                "Cycles by result",
                "none",
                (f"sum by (result) (increase(autoscaler_cycles_total[{RATE}]))", "{{result}}"),
            ),
            plot("Read from xrootd", "Bps", ("job:xrootd_read_bytes:rate5m", "{{job}}")),
        ],
        [
            plot(
                "The API",
                "none",
                (f"sum by (status) (increase(autoscaler_api_requests_total[{RATE}]))", "{{status}}"),
                text="Answers: 200 done, 202 a session waits, 401 and 403 no good token, 429 and 503 too many.",
            ),
            plot(
                "Alerts and announced sessions",
                "none",
                (f"sum by (result) (increase(autoscaler_alerts_total[{RATE}]))", "alerts {{result}}"),
                (f"sum by (state) (increase(autoscaler_announced_sessions_total[{RATE}]))", "sessions {{state}}"),
                ("autoscaler_tunings", "{{kind}} now"),
            ),
            states(
                "Controllers",
                ("autoscaler_leader", "{{instance}} leads"),
                ("autoscaler_unknown_safe_split", "{{instance}} walks to the safe split"),
                text="1: yes. Of two controllers one leads; signals that are unknown for long lead to the safe split.",
            ),
        ],
    ]
    return dashboard("facility", "VAF: facility", "Queue, workers, memory and CPU of all hosts, with every move.", rows)


def host() -> Panel:
    """One host: what it was to have, has, and what goes on in its guests."""
    rows = [
        [
            number("Workers", "none", f"autoscaler_observed_workers{{{OF_HOST}}}"),
            number("In quarantine", "bool_yes_no", f"autoscaler_host_quarantined{{{OF_HOST}}}"),
            number("Out of order", "bool_yes_no", f"autoscaler_host_problem{{{OF_HOST}}}"),
        ],
        [
            plot(
                "Workers",
                "none",
                (f"autoscaler_wanted_workers{{{OF_HOST}}}", "wanted"),
                (f"autoscaler_granted_workers{{{OF_HOST}}}", "granted"),
                (f"autoscaler_observed_workers{{{OF_HOST}}}", "there"),
                steps=True,
            ),
            plot(
                "Workers that guards took",
                "none",
                (f"autoscaler_cut_workers{{{OF_HOST}}}", "{{guard}}"),
                steps=True,
                text="Negative: workers that were to go, and were kept.",
            ),
        ],
        [
            plot("Memory", "bytes", (f"autoscaler_memory_bytes{{{OF_HOST}}}", "{{role}}"), stacked=True),
            plot(
                "CPU in use, in cores",
                "none",
                (f"rate(autoscaler_cpu_seconds_total{{{OF_HOST}}}[{RATE}])", "{{role}}"),
                stacked=True,
            ),
            plot("CPU weight", "none", (f"autoscaler_cpu_weight{{{OF_HOST}}}", "{{role}}"), steps=True),
        ],
        [
            plot(
                "Transfers by result",
                "none",
                (f"increase(autoscaler_transfers_total{{{OF_HOST}}}[{RATE}])", "{{result}}"),
            ),
            states("State", (f"autoscaler_host_state{{{OF_HOST}}}", "{{state}}")),
        ],
        [
            plot(
                "Memory that guests use",
                "bytes",
                (f"domain_memory_used_bytes{{{OF_HOST}}}", "{{domain}} uses"),
                (f"domain_memory_balloon_bytes{{{OF_HOST}}}", "{{domain}} has"),
                text="By the guests' own word. The host must be called alike in the configuration and by the exporter.",
            ),
            plot(
                "Swap",
                "Bps",
                (f"rate(domain_swap_in_bytes_total{{{OF_HOST}}}[{RATE}])", "{{domain}} in"),
                (f"rate(domain_swap_out_bytes_total{{{OF_HOST}}}[{RATE}])", "{{domain}} out"),
            ),
            plot(
                "Waiting for a CPU, in cores",
                "none",
                (f"rate(domain_steal_seconds_total{{{OF_HOST}}}[{RATE}])", "{{domain}}"),
            ),
        ],
    ]
    more = {"annotations": moves(f"{{{OF_HOST}}}", "$host"), "variables": [hosts()]}
    return dashboard(
        "host", "VAF: host", "What one host was to have, has, and what goes on in its guests.", rows, **more
    )


def policy() -> Panel:
    """How well the policies do, the learned ones above all."""
    rows = [
        [
            plot("What each policy wants, in workers", "none", ("autoscaler_demand_workers", "{{policy}}"), steps=True),
            plot("Sessions that wait", "none", ("sum(proof_queue_depth)", "wait"), steps=True),
        ],
        [
            plot(
                "Forecast and what came, in sessions",
                "none",
                ("autoscaler_forecast_judged_sessions", "{{policy}}: forecast, upper end"),
                ("autoscaler_forecast_realised_sessions", "{{policy}}: came"),
                text="Forecasts whose time is over.",
            ),
            plot(
                "The newest forecast, in sessions",
                "none",
                ("autoscaler_forecast_low_sessions", "{{policy}}: lower end"),
                ("autoscaler_forecast_high_sessions", "{{policy}}: upper end"),
            ),
        ],
        [
            plot(
                "Arrivals that the forecast had reached",
                "percentunit",
                ("autoscaler_forecast_coverage_ratio", "{{policy}}"),
                ("autoscaler_forecast_coverage_target_ratio", "{{policy}}: aim"),
            ),
            plot(
                "Pinball loss, in sessions",
                "none",
                ("autoscaler_forecast_pinball_loss_sessions", "{{policy}}: {{of}}"),
                text="A forecast that is worth something is below persistence (nothing changes).",
            ),
        ],
        [
            states("The forecast has a say", ("autoscaler_forecast_in_charge", "{{policy}}")),
            states("Why it has none", ("autoscaler_forecast_doubt", "{{policy}}: {{reason}}")),
            states("The policy raises", ("autoscaler_policy_failed", "{{policy}}")),
            states("Nights in a row without a new model", ("autoscaler_refit_failures", "nights")),
        ],
    ]
    text = "What each policy wants, and how well a learned one has forecast."
    return dashboard("policy", "VAF: policy quality", text, rows)


def worker_nodes() -> Panel:
    """What the Grid sees of PROOF: the efficiency of its jobs."""
    rows = [
        [
            plot(
                "CPU efficiency of the running jobs",
                "percentunit",
                ("wn_cpu_efficiency_ratio", "CPU time of wall time times cores"),
                text="As the Grid's accounting sees it: since each job's start, so that it is slow to change.",
            ),
            plot("PROOF's workers", "none", ("facility:autoscaler_observed_workers:sum", "workers"), steps=True),
        ],
        [
            plot("Batch jobs", "none", ("sum by (state) (wn_jobs)", "{{state}}"), stacked=True),
            plot(
                "Slots and cores",
                "none",
                ("sum by (state) (wn_slots)", "slots {{state}}"),
                ("sum(wn_cores_allocated)", "cores of running jobs"),
            ),
        ],
        [
            plot(
                "Memory of the Worker Nodes",
                "bytes",
                ('facility_role:autoscaler_memory_bytes:sum{role="wn"}', "in all"),
            ),
            plot(
                "CPU of the Worker Nodes, in cores",
                "none",
                (f'sum(rate(autoscaler_cpu_seconds_total{{role="wn"}}[{RATE}]))', "in use"),
            ),
        ],
        [
            plot("Read from swap", "Bps", ("domain:domain_swap_in_bytes:rate5m", "{{host}} {{domain}}")),
            plot(
                "Worker Nodes that began to swap",
                "none",
                (f"increase(autoscaler_strains_total[{RATE}])", "{{host}}"),
                text="Each time the transfer ended, and the host did not grow for a while.",
            ),
        ],
    ]
    text = "What the batch jobs lose while PROOF has workers."
    return dashboard("worker-nodes", "VAF: Worker Nodes as the Grid sees them", text, rows)


def alerting() -> dict[str, Any]:
    """Grafana's own alert rules: the same questions, for a site without Alertmanager."""
    groups = []
    for file in RULES:
        for group in YAML(typ="safe").load(file)["groups"]:
            rules = [_alert(rule) for rule in group["rules"] if "alert" in rule]
            if rules:
                groups.append({"orgId": 1, "name": group["name"], "folder": FOLDER, "interval": "1m", "rules": rules})
    return {"apiVersion": 1, "groups": groups}


def _alert(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule of Prometheus fires for each series that is there; in Grafana a number has to be above another.

    Its $value is a text about all numbers; the first query's own is $values.A.Value. ($NAME of the environment would be
    put in for other keys, but neither in queries nor in annotations.)
    """
    ask = {"refId": "A", "expr": rule["expr"], "instant": True, "range": False}
    there = {
        "refId": "B",
        "type": "threshold",
        "expression": "A",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "conditions": [{"evaluator": {"type": "gt", "params": [LESS_THAN_ANY]}}],
    }
    return {
        "uid": rule["alert"].lower(),
        "title": rule["alert"],
        "condition": "B",
        "data": [_step(SOURCE["uid"], ask), _step("__expr__", there)],
        # Nothing to tell is no news, and a Prometheus that does not answer is an error.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "labels": rule["labels"],
        "annotations": {key: text.replace("$value", "$values.A.Value") for key, text in rule["annotations"].items()},
    }


def _step(source: str, model: dict[str, Any]) -> dict[str, Any]:
    span = {"from": LOOK_BACK_S, "to": 0}
    return {"refId": model["refId"], "relativeTimeRange": span, "datasourceUid": source, "model": model}


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is made, with its text."""
    for made in (facility(), host(), policy(), worker_nodes()):
        name = made["uid"].removeprefix("vaf-")
        yield HERE / "dashboards" / f"{name}.json", json.dumps(made, indent=1) + "\n"
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1_000
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(alerting(), text)
    told = "# Made by make.py from deploy/prometheus/*.rules.yml: change it there.\n"
    yield HERE / "provisioning" / "alerting" / "rules.yml", told + text.getvalue()


if __name__ == "__main__":
    for path, content in files():
        path.write_text(content, encoding="utf-8")
