"""Dashboards and provisioning of Grafana: made by the script, of Grafana's own types, on metrics that there are."""

import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from autoscaler.service.annotations import TAG
from tests.api.facility import GRAFANA as ALERTS_PATH
from tests.deploy.expressions import (
    GRAFANA,
    alerts,
    dashboards,
    exposed,
    grafana_rules,
    metric_names,
    panel_expressions,
    variable_metrics,
)

PROVISIONING = GRAFANA / "provisioning"
CHECK = Path(__file__).with_name("dashboard_types.mjs")
# The compiler of TypeScript 7 cannot be called from a script.
PACKAGES = ("@grafana/schema@13.2.3", "typescript@5.9.3")
MOST_UID = 40
DEADLINE_S = 300


def made() -> dict[Path, str]:
    with pytest.MonkeyPatch.context() as patch:
        # As Python does for a script: what it imports stands beside it.
        patch.syspath_prepend(GRAFANA)
        return dict(runpy.run_path(str(GRAFANA / "make.py"))["files"]())


def provisioned(name: str) -> dict[str, Any]:
    return YAML(typ="safe").load(PROVISIONING / name)


def sources_in(value: object) -> Iterator[str]:
    """Yield the uid of every data source that is named anywhere."""
    if isinstance(value, dict):
        if "datasource" in value:
            yield value["datasource"]["uid"]
        if "datasourceUid" in value:
            yield value["datasourceUid"]
        for each in value.values():
            yield from sources_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from sources_in(each)


def test_what_is_made_is_what_the_script_makes() -> None:
    """``python deploy/grafana/make.py`` after a change."""
    for path, text in made().items():
        assert path.read_text() == text, path.name


def test_there_is_no_dashboard_that_the_script_does_not_make() -> None:
    there = [*(GRAFANA / "dashboards").iterdir()]
    assert set(there) <= made().keys()


@pytest.mark.parametrize("name", dashboards())
def test_every_metric_of_a_dashboard_exists(name: str) -> None:
    for where, expression in panel_expressions(name):
        assert metric_names(expression) - exposed() == set(), where
    assert variable_metrics(name) - exposed() == set()


@pytest.mark.parametrize("name", dashboards())
def test_the_panels_of_a_dashboard_fill_its_width_and_lie_beside_each_other(name: str) -> None:
    panels = dashboards()[name]["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    rows: dict[int, list[dict[str, int]]] = {}
    for panel in panels:
        rows.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    for row in rows.values():
        assert [place["x"] for place in row] == [sum(each["w"] for each in row[:at]) for at in range(len(row))]
        assert sum(place["w"] for place in row) == 24


def test_queue_workers_memory_and_cpu_of_the_facility_lie_above_each_other_on_one_time_axis() -> None:
    panels = [each for each in dashboards()["facility"]["panels"] if each["gridPos"]["w"] == 24]
    assert [each["title"] for each in panels] == ["PROOF sessions", "Workers", "Memory", "CPU in use, in cores"]
    assert len({each["fieldConfig"]["defaults"]["custom"]["axisWidth"] for each in panels}) == 1


def test_dashboards_and_rules_ask_the_data_source_that_is_provisioned() -> None:
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    named = {*sources_in(list(dashboards().values())), *sources_in(grafana_rules())}
    assert named == {source["uid"], "__expr__", "-- Grafana --"}


def test_dashboards_show_what_the_controller_writes_of_its_decisions() -> None:
    tags = {
        name: [each["target"]["tags"] for each in dashboard["annotations"]["list"] if each["name"] == "Decisions"]
        for name, dashboard in dashboards().items()
    }
    assert tags == {name: [[TAG, "$host"] if name == "host" else [TAG]] for name in dashboards()}


def test_grafanas_own_rules_are_those_of_prometheus() -> None:
    there = {rule["title"]: rule for rule in grafana_rules()}
    assert there.keys() == {rule["alert"] for rule in alerts()}
    for rule in alerts():
        own = there[rule["alert"]]
        assert own["data"][0]["model"]["expr"] == rule["expr"]
        assert (own["for"], own["labels"]) == (rule.get("for", "0s"), rule["labels"])
        assert own["annotations"]["summary"].replace("$values.A.Value", "$value") == rule["annotations"]["summary"]


def test_grafana_can_tell_its_rules_apart() -> None:
    uids = [rule["uid"] for rule in grafana_rules()]
    assert len(set(uids)) == len(uids)
    assert [uid for uid in uids if not re.fullmatch(rf"[a-z-]{{1,{MOST_UID}}}", uid)] == []


def test_alerts_go_to_a_contact_point_that_there_is() -> None:
    contacts = provisioned("alerting/contact-points.yml")
    names = {point["name"] for point in contacts["contactPoints"]}
    for policy in contacts["policies"]:
        assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} <= names


def test_what_tunes_goes_to_a_path_that_the_api_has() -> None:
    contacts = provisioned("alerting/contact-points.yml")
    hooks = [each for point in contacts["contactPoints"] for each in point["receivers"] if each["type"] == "webhook"]
    assert [hook["settings"]["url"].partition(":9630")[2] for hook in hooks] == [ALERTS_PATH]


@pytest.mark.testbed
@pytest.mark.timeout(900)
def test_dashboards_are_of_grafanas_own_types(tmp_path: Path) -> None:
    words = ["npm", "install", "--silent", "--no-audit", "--no-fund", *PACKAGES]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=DEADLINE_S)
    shutil.copy(CHECK, tmp_path)
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    assert checked(tmp_path, *files) == (0, "")
    wrong = json.loads(files[0].read_text())
    wrong["panels"][0]["options"]["colorMode"] = "colourful"
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    code, told = checked(tmp_path, tmp_path / "wrong.json")
    assert code == 1
    assert "colourful" in told


def checked(folder: Path, *files: Path) -> tuple[int, str]:
    words = ["node", CHECK.name, *map(str, files)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    return done.returncode, done.stdout + done.stderr
