"""Grafana's own alert rules, from those of Prometheus."""

from pathlib import Path
from typing import Any

from panels.parts import SOURCE
from ruamel.yaml import YAML

RULES = sorted((Path(__file__).parents[1] / "prometheus").glob("*.rules.yml"))
FOLDER = "VAF"
LOOK_BACK_S = 600
LESS_THAN_ANY = -1_000_000_000_000


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
