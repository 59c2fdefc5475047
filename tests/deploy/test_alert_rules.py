"""The rules, the scrape configuration and whom Alertmanager tells, by Prometheus' own tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.deploy.expressions import PROMETHEUS, RULES, TOP, alerts, exposed, metric_names, rules

TESTS = Path(__file__).with_name("alerts.yml")
RUNBOOK = (PROMETHEUS / "RUNBOOK.md").read_text()
ALERTMANAGER = TOP / "deploy" / "alertmanager" / "alertmanager.yml"


def run(*words: object, cwd: Path | None = None) -> None:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.testbed
def test_each_alert_fires_when_it_is_to_and_not_before(tmp_path: Path) -> None:
    for file in (*RULES, TESTS):
        shutil.copy(file, tmp_path)
    run("promtool", "test", "rules", TESTS.name, cwd=tmp_path)


@pytest.mark.testbed
def test_the_scrape_configuration_is_one_that_prometheus_takes() -> None:
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.testbed
def test_the_configuration_of_alertmanager_is_one_that_it_takes() -> None:
    run("amtool", "check-config", ALERTMANAGER)


def test_the_metrics_of_an_expression_are_found() -> None:
    expression = (
        'sum by (host) (rate(a_total{b="c_d"}[5m])) / on (host) group_left () x:y:z and time() - 2e3 * p > bool 1'
    )
    assert metric_names(expression) == {"a_total", "x:y:z", "p"}
    assert metric_names('{__name__=~"(a|b)_up"} == 0') == {"a_up", "b_up"}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_of_a_rule_exists(rule: dict[str, str]) -> None:
    assert metric_names(rule["expr"]) - exposed() == set()


def test_no_alert_has_the_name_of_another() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))


def test_every_alert_and_every_sum_is_tried() -> None:
    tests = YAML(typ="safe").load(TESTS)["tests"]
    fired = {
        check["alertname"] for test in tests for check in test.get("alert_rule_test", ()) if check.get("exp_alerts")
    }
    quiet = {
        check["alertname"] for test in tests for check in test.get("alert_rule_test", ()) if "exp_alerts" not in check
    }
    names = {rule["alert"] for rule in alerts()}
    assert (fired, quiet) == (names, names)
    summed = {check["expr"] for test in tests for check in test.get("promql_expr_test", ())}
    assert summed == {rule["record"] for rule in rules() if "record" in rule}


def test_every_alert_has_its_paragraph_in_the_runbook_and_leads_to_it() -> None:
    paragraphs = dict(re.findall(r"^## (\w+)\n\n(\w.*)", RUNBOOK, re.MULTILINE))
    assert paragraphs.keys() == {rule["alert"] for rule in alerts()}
    assert RUNBOOK.count("\n## ") == len(paragraphs)
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"RUNBOOK.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("warning", "critical")


def test_the_jobs_are_scraped_from_files_that_are_there() -> None:
    config = YAML(typ="safe").load(PROMETHEUS / "prometheus.yml")
    for job in config["scrape_configs"]:
        assert job["file_sd_configs"] == [{"files": [f"targets/{job['job_name']}.yml"]}]
        assert (PROMETHEUS / "targets" / f"{job['job_name']}.yml").exists()


def test_the_routes_of_alertmanager_name_alerts_that_there_are() -> None:
    names = {rule["alert"] for rule in alerts()}
    for word in re.findall(r"\b(?:Autoscaler|Exporter)\w+\b", ALERTMANAGER.read_text()):
        assert word in names | {"Autoscaler"}, word
