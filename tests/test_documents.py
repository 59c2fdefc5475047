"""What the documents show works: the examples are run, so that they cannot rot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from autoscaler.config.load import load
from autoscaler.config.signals import BUILT_IN
from autoscaler.model import PROOF_QUEUED_SESSIONS
from autoscaler.sources.signals import promql
from autoscaler.testing import proof_window

TOP = Path(__file__).parents[1]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def contributed(name: str) -> dict[str, object]:
    """Run the Python example of CONTRIBUTING.md that defines ``name``; return what it defines."""
    blocks = PYTHON_BLOCK.findall((TOP / "CONTRIBUTING.md").read_text())
    (block,) = (block for block in blocks if name in block)
    namespace: dict[str, object] = {"__name__": "example"}
    exec(compile(block, "CONTRIBUTING.md", "exec"), namespace)
    return namespace


def test_the_example_of_a_policy_decides() -> None:
    policy = contributed("class OneEach")["OneEach"]()
    assert policy.decide(proof_window([0.0], [3.0])).workers == 3
    assert policy.decide(proof_window([0.0], [None])).workers is None


def test_the_example_of_an_exporter_exports(tmp_path: Path) -> None:
    command = contributed("def parse_seats")["command"]
    seats = tmp_path / "seats"
    seats.write_text("7\n")
    done = CliRunner().invoke(command, ["--file", str(seats), "--once"])
    assert done.exit_code == 0
    assert "seats_taken 7.0" in done.stdout
    assert "seats_up 1.0" in done.stdout


def test_the_example_of_an_exporter_says_when_it_cannot_read(tmp_path: Path) -> None:
    command = contributed("def parse_seats")["command"]
    done = CliRunner().invoke(command, ["--file", str(tmp_path / "none"), "--once"])
    assert done.exit_code == 1
    assert "seats_up 0.0" in done.stdout
    assert "seats_taken" not in done.stdout


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    for target in LINK.findall((TOP / document).read_text()):
        assert (TOP / target).exists(), target


def test_the_set_up_scripts_name_what_is_missing_where_there_is_no_apt() -> None:
    script = ". deploy/common.sh; PATH=/nonexistent; need_packages gcc prometheus"
    done = subprocess.run(["bash", "-c", script], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no apt-get here" in done.stderr
    assert done.stderr.rstrip().endswith("gcc prometheus")


def test_the_example_commands_of_the_exporters_start() -> None:
    readme = (TOP / "README.md").read_text()
    for line in re.findall(r"^ *(vaf-exporter .*?)(?:  +#.*)?$", readme, re.MULTILINE):
        argv = line.split()
        done = subprocess.run(
            [Path(sys.executable).with_name(argv[0]), *argv[1:], "--help"], capture_output=True, check=False
        )
        assert done.returncode == 0, line


def test_the_query_that_the_example_configuration_writes_out_is_the_default() -> None:
    shown = load(TOP / "deploy" / "autoscaler.yaml").config.source.signals[PROOF_QUEUED_SESSIONS]
    assert shown == promql(BUILT_IN[PROOF_QUEUED_SESSIONS])
