"""`autoscaler config show`: what counts for a host, and who says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from autoscaler.config.load import load
from autoscaler.config.schema import HostSection
from tests.cli.site import Result, invoke
from tests.cli.test_help import check_golden

CONFIG = """
source: {kind: prometheus, url: "http://127.0.0.1:9090/"}
policy: {name: static, workers: 4}
host_defaults:
  memory_total: 16 GiB
  memory_reserve: 573 MiB
  proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
  wn: {memory_floor: 572 MiB, memory_max: 6911 MiB}
groups:
  large: {hosts: [host-1], proof: {workers_max: 6}, wn: {swap_down_to: 1 GiB}}
  empty: {hosts: [host-1]}
hosts:
  - name: host-1
    uri: test:///one
    proof: {workers_min: 1, dormant_cpu_cap_cores: null}
    wn:
      - {domain: wn-a, memory_max: 3 GiB}
      - {domain: wn-b}
  - {name: host-2, uri: "test:///two", wn: {domain: wn}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "autoscaler.yaml"
    file.write_text(CONFIG)
    return file


def shown(file: Path, *words: str) -> Result:
    return invoke("config", "show", "--config", file, *words)


def settings(file: Path, host: str) -> dict[str, tuple[Any, str]]:
    found = json.loads(shown(file, host, "--format", "json").stdout)
    return {each["key"]: (each["value"], each["from"]) for each in found["settings"]}


def test_each_value_says_where_it_comes_from(file: Path) -> None:
    found = settings(file, "host-1")
    assert found["name"] == ("host-1", "host")
    assert found["memory_total"] == ("16384 MiB", "host_defaults")
    assert found["cpu_reserve_cores"] == (0.0, "default")
    assert found["proof.workers_max"] == (6, "group large")
    assert found["proof.workers_min"] == (1, "host")
    assert found["proof.dormant_cpu_cap_cores"] == (None, "host")
    assert found["wn[0].memory_max"] == ("3072 MiB", "host")
    assert found["wn[1].memory_max"] == ("6911 MiB", "host_defaults")
    assert found["wn[1].swap_down_to"] == ("1024 MiB", "group large")
    assert found["wn[1].memory_margin"] == ("256 MiB", "default")


def test_a_host_of_no_group_has_nothing_of_a_group(file: Path) -> None:
    found = settings(file, "host-2")
    assert found["proof.workers_max"] == (8, "host_defaults")
    assert found["wn[0].domain"] == ("wn", "host")
    assert found["wn[0].swap_down_to"] == (None, "default")


WN_LIST = "wn: [{domain: wn-a, memory_margin: 1 GiB}, {domain: wn-b, memory_max: 5 GiB}]"
HOST_2 = 'uri: "test:///two", wn: {domain: wn}'


@pytest.mark.parametrize("wn", ["{SIZES}", "[{SIZES}]"], ids=["mapping", "list"])
def test_a_list_of_a_group_that_the_host_replaces_says_nothing(file: Path, wn: str) -> None:
    pairs = f"  pairs: {{hosts: [host-2], {WN_LIST}}}\n  empty:"
    own = wn.replace("SIZES", "domain: wn, memory_floor: 1 GiB, memory_max: 4 GiB")
    file.write_text(CONFIG.replace("  empty:", pairs).replace("wn: {domain: wn}", f"wn: {own}"))
    found = settings(file, "host-2")
    assert found["wn[0].memory_max"] == ("4096 MiB", "host")
    assert found["wn[0].memory_margin"] == ("256 MiB", "default")


def test_a_list_of_a_group_that_nobody_replaces_counts(file: Path) -> None:
    pairs = f"  pairs: {{hosts: [host-2], {WN_LIST}}}\n  empty:"
    file.write_text(CONFIG.replace("  empty:", pairs).replace(HOST_2, 'uri: "test:///two"'))
    found = settings(file, "host-2")
    assert found["wn[0].memory_margin"] == ("1024 MiB", "group pairs")
    assert found["wn[0].memory_max"] == ("6911 MiB", "host_defaults")


def test_json_names_the_groups_of_the_host(file: Path) -> None:
    assert json.loads(shown(file, "host-1", "--format", "json").stdout)["groups"] == ["large", "empty"]


@pytest.mark.parametrize("host", ["host-1", "host-2"])
def test_the_yaml_is_what_a_file_could_say(file: Path, host: str) -> None:
    written = HostSection.model_validate(YAML(typ="safe").load(shown(file, host).stdout))
    assert [written] == [each for each in load(file).config.hosts if each.name == host]


def test_the_yaml_says_behind_each_key_who_says_it(file: Path) -> None:
    lines = [[part.rstrip() for part in line.split("  # ")] for line in shown(file, "host-1").stdout.splitlines()]
    begin = lines.index(["wn:"])
    assert lines[begin : begin + 4] == [
        ["wn:"],
        ['  - domain: "wn-a"', "host"],
        ['    memory_floor: "572 MiB"', "host_defaults"],
        ['    memory_max: "3072 MiB"', "host"],
    ]


def test_an_unknown_host_is_exit_code_2_in_words(file: Path) -> None:
    result = shown(file, "host-11")
    assert result.exit_code == 2
    assert "no host is called 'host-11' (did you mean 'host-1'?)" in result.stderr


def test_a_configuration_with_a_mistake_is_exit_code_1(file: Path) -> None:
    file.write_text(CONFIG.replace("workers_max: 6", "workers_max: six"))
    result = shown(file, "host-1")
    assert result.exit_code == 1
    assert "groups.large.proof.workers_max: 'six' is not a whole number" in result.stderr


def test_the_help_is_the_golden_one() -> None:
    check_golden("config-show", invoke("config", "show", "--help").output)
