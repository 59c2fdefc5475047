"""The repository is whole: what is built in is registered, documented and configurable, and the walls stand."""

import ast
import configparser
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from autoscaler.cli.commands import autoscaler
from autoscaler.config.load import load
from autoscaler.config.schema import Config, PolicySection
from autoscaler.simulation.scenario_file import load_scenario
from autoscaler.simulation.scenario_schema import ScenarioFile
from policies.threshold import Threshold

TOP = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
README = (TOP / "README.md").read_text()
EXAMPLE = TOP / "deploy" / "autoscaler.yaml"
SCENARIO = TOP / "deploy" / "scenario.yaml"

# What of exporters/ is not an exporter, and of policies/ not a policy: the command and what they share.
SHARED = {"__init__", "main", "serving", "sockets", "subprocesses", "load"}


def modules(folder: str) -> set[str]:
    """Return the plugins in a folder: each is a file, or a folder of its own."""
    top = TOP / folder
    return {path.stem for path in [*top.glob("*.py"), *(init.parent for init in top.glob("*/__init__.py"))]} - SHARED


def docstring(folder: str, name: str) -> str | None:
    file = TOP / folder / f"{name}.py"
    return ast.get_docstring(ast.parse((file if file.exists() else TOP / folder / name / "__init__.py").read_text()))


def registered(group: str) -> dict[str, str]:
    return PYPROJECT["project"]["entry-points"][f"vaf_autoscaler.{group}"]


PLUGINS = [(group, name) for group in ("policies", "exporters") for name in sorted(modules(group))]


@pytest.mark.parametrize("group", ["policies", "exporters"])
def test_each_file_is_an_entry_point_and_each_entry_point_a_file(group: str) -> None:
    assert registered(group).keys() == modules(group)


@pytest.mark.parametrize("group", ["policies", "exporters"])
def test_an_entry_point_is_called_as_its_file(group: str) -> None:
    for name, target in registered(group).items():
        assert re.match(rf"{group}\.{name}[.:]", target)


@pytest.mark.parametrize(("group", "name"), PLUGINS)
def test_a_plugin_says_in_its_docstring_what_it_is(group: str, name: str) -> None:
    assert docstring(group, name)


@pytest.mark.parametrize(("group", "name"), PLUGINS)
def test_a_plugin_has_a_row_in_the_readme(group: str, name: str) -> None:
    rows = [line for line in README.splitlines() if line.startswith("|")]
    cells = [row.split("|")[1] for row in rows]
    assert any(re.search(rf"\b{name}\b", cell) for cell in cells), f"{group}: {name}"


@pytest.mark.parametrize("command", sorted(autoscaler.commands))
def test_a_command_is_in_the_readme(command: str) -> None:
    assert f"`autoscaler {command}" in README


def test_the_scripts_are_in_the_readme() -> None:
    for script in PYPROJECT["project"]["scripts"]:
        assert re.search(rf"`{script}\b", README), script


class TestTheExampleConfiguration:
    """deploy/autoscaler.yaml."""

    def test_loads(self) -> None:
        assert load(EXAMPLE).config.hosts

    def test_mentions_every_key_that_a_file_may_have(self) -> None:
        text = EXAMPLE.read_text()
        missing = [key for key in keys(Config) if not re.search(rf"\b{key.rpartition('.')[2]}:", text)]
        assert missing == []

    def test_mentions_every_parameter_of_the_default_policy(self) -> None:
        text = EXAMPLE.read_text()
        assert [field.name for field in fields(Threshold) if f"{field.name}:" not in text] == []

    def test_mentions_every_policy(self) -> None:
        text = EXAMPLE.read_text()
        assert [name for name in registered("policies") if not re.search(rf"\b{name}\b", text)] == []

    def test_has_the_defaults_it_says_it_has(self, tmp_path: Path) -> None:
        """Every commented key, put in force, changes nothing: the text states the defaults as they are."""
        in_force = re.sub(r"^( +)# ([a-z_]+: [^#\n]*)(#.*)?$", r"\1\2", EXAMPLE.read_text(), flags=re.MULTILINE)
        assert in_force != EXAMPLE.read_text()
        file = tmp_path / "autoscaler.yaml"
        file.write_text(in_force)
        assert load(file).config == load(EXAMPLE).config


class TestTheExampleScenario:
    """deploy/scenario.yaml."""

    def test_loads(self) -> None:
        assert load_scenario(SCENARIO).policies

    def test_mentions_every_key_that_a_file_may_have(self) -> None:
        text = SCENARIO.read_text()
        missing = [key for key in keys(ScenarioFile) if not re.search(rf"\b{key.rpartition('.')[2]}:", text)]
        assert missing == []

    def test_has_the_defaults_it_says_it_has(self, tmp_path: Path) -> None:
        """Every commented key, put in force, changes nothing: the text states the defaults as they are."""
        commented = re.compile(r"^( *)# ([a-z_]+:( [^#\n]*)?)(#.*)?$", re.MULTILINE)
        in_force = commented.sub(r"\1\2", SCENARIO.read_text())
        file = tmp_path / "scenario.yaml"
        file.write_text(in_force)
        assert YAML(typ="safe").load(in_force).keys() == set(ScenarioFile.model_fields)
        assert load_scenario(file) == load_scenario(SCENARIO)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key of a section and of the sections in it, dotted."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{field.alias or name}"
        for section in sections(field.annotation):
            if section is not PolicySection:
                yield from keys(section, f"{prefix}{name}.")


def sections(hint: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, however they are wrapped."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    elif get_origin(hint) in (Annotated, Union, UnionType, list, dict, tuple):
        for part in get_args(hint):
            yield from sections(part)


def test_the_walk_over_the_configuration_finds_the_deep_keys() -> None:
    found = set(keys(Config))
    assert {"controller.interval", "source.signals.query", "source.targets", "hosts.wn.swap_down_to"} <= found


def test_the_changelog_has_an_unreleased_section() -> None:
    assert re.search(r"^## \[?Unreleased", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_no_test_uses_a_mock_library() -> None:
    names = [(path, name) for path in (TOP / "tests").rglob("*.py") for name in imported(path)]
    assert [(path, name) for path, name in names if name.startswith(("unittest.mock", "mock"))] == []


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_file_of_python_says_what_it_is() -> None:
    folders = ("autoscaler", "policies", "exporters", "tests")
    files = [path for folder in folders for path in (TOP / folder).rglob("*.py")]
    assert [path for path in files if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_the_walls_between_the_rooms_stand() -> None:
    words = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", [".ci/run", "README.md"])
def test_all_who_test_run_the_same_script(file: str) -> None:
    assert "deploy/test.sh" in (TOP / file).read_text()


def test_no_path_of_a_developers_machine_is_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=False).stdout.split()
    texts = [TOP / name for name in listed if name.endswith((".py", ".md", ".yaml", ".sh", ".toml", ".txt"))]
    path = re.compile(r"/(work|home|root)/\w")
    assert [file for file in texts if file.exists() and path.search(file.read_text())] == []


def test_every_unit_starts_an_installed_script() -> None:
    for unit in (TOP / "deploy").rglob("*.service"):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(unit)
        script = Path(parser["Service"]["ExecStart"].split()[0]).name
        assert script in PYPROJECT["project"]["scripts"], unit
