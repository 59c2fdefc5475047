"""The help of every exporter is kept in tests/golden/exporters; UPDATE_GOLDEN=1 writes it anew."""

import os
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from exporters.main import ENTRY_POINT_GROUP, cli

GOLDEN = Path(__file__).parents[1] / "golden" / "exporters"
EXPORTERS = sorted(entry_points(group=ENTRY_POINT_GROUP).names)
WIDTH = 80


def help_of(*words: str) -> str:
    """Return what --help prints in a terminal of :data:`WIDTH` columns."""
    done = CliRunner().invoke(cli, [*words, "--help"], prog_name="vaf-exporter", terminal_width=WIDTH)
    assert done.exit_code == 0, done.output
    return done.output


def check_golden(name: str, text: str) -> None:
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text(), f"if this is meant: UPDATE_GOLDEN=1 pytest {Path(__file__).name}"


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_help_of_an_exporter_is_the_golden_one(exporter: str) -> None:
    check_golden(exporter, help_of(exporter))


def test_the_help_of_the_whole_is_the_golden_one() -> None:
    check_golden("vaf-exporter", help_of())


def test_no_golden_help_is_of_an_exporter_that_is_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {"vaf-exporter", *EXPORTERS}


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_examples_are_understood(exporter: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each example's options exist; so do, in this test, the files that an example names."""
    monkeypatch.chdir(tmp_path)
    lines = [line.strip() for line in help_of(exporter).splitlines()]
    examples = [shlex.split(line)[2:] for line in lines if line.startswith(f"vaf-exporter {exporter}")]
    assert examples
    for words in examples:
        context = click.Context(cli, info_name="vaf-exporter")
        found = cli.get_command(context, exporter)
        assert found is not None
        found.make_context(exporter, words, parent=context)


@pytest.mark.parametrize("exporter", ["", *EXPORTERS])
def test_the_help_fits_its_width(exporter: str) -> None:
    assert max(map(len, help_of(*exporter.split()).splitlines())) <= WIDTH
