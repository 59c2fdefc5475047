"""The help of every command is kept in tests/golden/cli; UPDATE_GOLDEN=1 writes it anew."""

import os
import shlex
from pathlib import Path

import click
import pytest

from autoscaler.cli.commands import autoscaler
from autoscaler.cli.config import config
from autoscaler.cli.model import model
from autoscaler.cli.token import token
from autoscaler.cli.tuning import tuning
from tests.cli.site import WIDTH, invoke

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
COMMANDS = sorted(autoscaler.commands)


def check_golden(name: str, text: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), f"if this is meant: UPDATE_GOLDEN=1 pytest {Path(__file__).name}"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_the_golden_one(command: str) -> None:
    check_golden(command, invoke(command, "--help").output)


def test_the_help_of_the_whole_is_the_golden_one() -> None:
    check_golden("autoscaler", invoke("--help").output)


def test_no_golden_help_is_of_a_command_that_is_gone() -> None:
    subcommands = {f"{group.name}-{name}" for group in (model, config, token, tuning) for name in group.commands}
    assert {path.stem for path in GOLDEN.iterdir()} == {"autoscaler", *COMMANDS, *subcommands}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_has_examples_and_exit_codes(command: str) -> None:
    text = invoke(command, "--help").output
    assert "Example" in text
    assert "Exit codes:" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_are_understood(command: str) -> None:
    """Each example's options exist; the files of the examples need not."""
    lines = [line.strip() for line in invoke(command, "--help").output.replace("\\\n", " ").splitlines()]
    examples = [shlex.split(line.partition(" | ")[0])[1:] for line in lines if line.startswith(f"autoscaler {command}")]
    assert examples
    for name, *arguments in examples:
        found = autoscaler.commands[name]
        found.make_context(name, arguments, parent=click.Context(autoscaler, info_name="autoscaler"))


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_fits_its_width(command: str) -> None:
    words = [command] if command else []
    assert max(map(len, invoke(*words, "--help").output.splitlines())) <= WIDTH


@pytest.mark.parametrize("command", COMMANDS)
def test_h_is_help(command: str) -> None:
    assert invoke(command, "-h").output == invoke(command, "--help").output


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert version("vaf-autoscaler") in invoke("--version").output


@pytest.mark.parametrize(
    "words", [["nonsense"], ["run", "--nonsense"], ["explain"], ["check"], ["run", "--cycles", "0"]]
)
def test_a_command_line_that_is_not_understood_is_exit_code_2(words: list[str]) -> None:
    assert invoke(*words).exit_code == 2
