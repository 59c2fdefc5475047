"""What starts the `autoscaler` command, where not everything is installed."""

import subprocess
import sys

import pytest

WITHOUT = """\
import sys
sys.modules[{module!r}] = None
from autoscaler.cli.main import main
sys.argv = ["autoscaler", "--help"]
main()
"""


def started_without(module: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a module is not installed."""
    program = WITHOUT.format(module=module)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ["libvirt", "apscheduler", "sqlalchemy", "rich"])
def test_a_missing_package_of_the_controller_is_one_sentence_and_exit_code_1(module: str) -> None:
    done = started_without(module)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: the autoscaler command needs more packages (no module named {module}): "
        "pip install 'vaf-autoscaler[controller]'\n"
    )


def test_another_missing_module_is_a_fault_and_not_hidden() -> None:
    assert "ModuleNotFoundError" in started_without("autoscaler.core.decide").stderr


def test_the_module_is_the_command_too() -> None:
    words = [sys.executable, "-m", "autoscaler.cli.main", "--version"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.startswith("autoscaler, version ")
