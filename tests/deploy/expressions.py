"""What stands in deploy/ for Prometheus and Grafana: its expressions, and the metrics that they may name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

TOP = Path(__file__).parents[2]
PROMETHEUS = TOP / "deploy" / "prometheus"
GRAFANA = TOP / "deploy" / "grafana"
RULES = sorted(PROMETHEUS.glob("*.rules.yml"))
EXPOSITIONS = [*TOP.glob("tests/exporters/golden/*.prom"), *TOP.glob("tests/service/golden/*.prom")]

# What Prometheus itself adds, and what every process shows.
EVERYWHERE = {"up", "process_start_time_seconds", "process_resident_memory_bytes"}

# Taken out one after the other, until only metrics and operators are left.
NO_METRIC = re.compile(
    r'"[^"]*"|'  # strings
    r"\{[^}]*\}|"  # labels
    r"\[[^]]*\]|"  # spans
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|"
    r"\b\w+\s*(?=\(|by\b|without\b)|"  # functions
    r"\b(?:and|or|unless|bool|offset)\b|"
    r"\b\d[\w.]*"
)
NAMES_OF_SELECTOR = re.compile(r'__name__=~"\(([^)]*)\)(\w*)"')


def rules() -> list[dict[str, Any]]:
    """Return all recording and alert rules."""
    loaded = [YAML(typ="safe").load(file) for file in RULES]
    return [rule for file in loaded for group in file["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by the names of their files."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panel_expressions(name: str) -> list[tuple[str, str]]:
    """Return the expressions of a dashboard's panels and marks, each with where it stands."""
    dashboard = dashboards()[name]
    marked = [each for each in dashboard["annotations"]["list"] if each["datasource"]["type"] == "prometheus"]
    marks = [(each["name"], each["target"]["expr"]) for each in marked]
    return marks + [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]]


def variable_metrics(name: str) -> set[str]:
    """Return the metrics that a dashboard's variables take their values from."""
    queries = [variable["query"]["query"] for variable in dashboards()[name]["templating"]["list"]]
    return {re.fullmatch(r"label_values\((\w+), \w+\)", query)[1] for query in queries}


def grafana_rules() -> list[dict[str, Any]]:
    file = YAML(typ="safe").load(GRAFANA / "provisioning" / "alerting" / "rules.yml")
    return [rule for group in file["groups"] for rule in group["rules"]]


def metric_names(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression names."""
    selected = {
        name + suffix
        for names, suffix in NAMES_OF_SELECTOR.findall(expression)
        for name in names.replace("\\", "").split("|")
    }
    return selected | set(re.findall(r"[a-zA-Z_][\w:]*", NO_METRIC.sub(" ", expression)))


def exposed() -> set[str]:
    """Return every series name that exporters, controller and recording rules have."""
    return EVERYWHERE | set(_in_expositions()) | {rule["record"] for rule in rules() if "record" in rule}


def _in_expositions() -> Iterator[str]:
    for file in EXPOSITIONS:
        for family in text_string_to_metric_families(file.read_text()):
            yield from (sample.name for sample in family.samples)
