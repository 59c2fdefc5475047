"""What is published can be installed: an exporter node gets exporters, and nothing of the controller's libraries."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900)]

# What only the controller, or only a learned policy, needs.
CONTROLLERS = ("libvirt", "sqlalchemy", "apscheduler", "sklearn", "rich")


def run(*words: object, cwd: Path) -> str:
    """Run to the end; what it printed."""
    argv = [str(word) for word in words]
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(argv, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the source distribution, and the wheel that is made from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, TOP, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def node(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an exporter node: a clean environment with the wheel and its base dependencies."""
    folder = tmp_path_factory.mktemp("node")
    venv.create(folder, with_pip=True)
    constraints = TOP / "deploy" / "constraints.txt"
    run(folder / "bin" / "python", "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=folder)
    return folder / "bin"


def test_the_wheel_has_the_three_packages_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {
        "autoscaler",
        "policies",
        "exporters",
    }


def test_the_wheel_has_every_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.endswith(".py")}
    folders = ("autoscaler", "policies", "exporters")
    assert packed == {str(path.relative_to(TOP)) for folder in folders for path in (TOP / folder).rglob("*.py")}


def test_the_source_distribution_has_what_is_needed_to_test_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "deploy/test.sh", "deploy/autoscaler.yaml", "tests/test_packaging.py"} <= names


def test_the_source_distribution_has_no_leftovers(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert [name for name in names if ".venv/" in name or "__pycache__" in name or "_cache/" in name] == []


@pytest.mark.parametrize("exporter", ["", "proof", "wn", "xrootd"])
def test_an_exporter_node_has_its_exporters(node: Path, exporter: str) -> None:
    words = [exporter] if exporter else []
    assert "Usage: vaf-exporter" in run(node / "vaf-exporter", *words, "--help", cwd=node)


def test_an_exporter_node_has_none_of_the_controllers_libraries(node: Path) -> None:
    program = f"import importlib.util as u; print([n for n in {CONTROLLERS!r} if u.find_spec(n)])"
    assert run(node / "python", "-c", program, cwd=node) == "[]\n"


def test_an_exporter_imports_nothing_of_the_controller(node: Path) -> None:
    modules = ", ".join(f"exporters.{name}" for name in ("main", "proof.main", "wn.main", "xrootd.main"))
    program = f"import sys, {modules}; print(set(sys.modules))"
    assert "'autoscaler'" not in run(node / "python", "-c", program, cwd=node)


def test_a_policy_can_be_tried_where_there_is_no_libvirt(node: Path) -> None:
    program = (
        "from autoscaler.testing import proof_window; from policies.threshold import Threshold; "
        "print(Threshold().decide(proof_window([1], [0])).workers)"
    )
    assert run(node / "python", "-c", program, cwd=node) == "8\n"


def test_the_controllers_command_says_on_an_exporter_node_what_to_install(node: Path) -> None:
    done = subprocess.run([node / "autoscaler", "--help"], cwd=node, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the autoscaler command needs more packages (no module named ")
    assert done.stderr.endswith("): pip install 'vaf-autoscaler[controller]'\n")
