"""What the values of the model have in common."""

import pickle
import subprocess
import sys
from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from autoscaler.model import Allocation, Window
from autoscaler.value import Value


class Point(Value, frozen=True):
    """A value with a default."""

    x: int
    y: int = 2


def test_a_value_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 3  # type: ignore[misc]


def test_values_with_the_same_fields_are_equal_and_have_one_hash() -> None:
    assert Point(1) == Point(1, 2) != Point(1, 3)
    assert len({Point(1), Point(1, 2), Point(1, 3)}) == 2


def test_a_value_shows_its_fields() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2)"


def test_the_functions_for_dataclasses_know_the_fields_of_a_value() -> None:
    assert replace(Point(1), y=5) == Point(1, 5)
    assert [field.name for field in fields(Allocation)] == ["memory_mib", "cpu_weight", "cpu_cap_cores"]


def test_a_value_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)


def test_two_values_do_not_share_what_is_empty_by_default() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert Window(now).memory is not Window(now).memory


@pytest.mark.parametrize("how", [[], ["-OO"]])
def test_a_value_without_a_docstring_is_one_too(how: list[str]) -> None:
    """Python leaves all docstrings out with -OO; in a process of its own, since a crash would end the test run."""
    program = (
        "from dataclasses import fields\n"
        "import autoscaler.model\n"
        "from autoscaler.value import Value\n"
        "class Bare(Value, frozen=True):\n    x: int = 1\n"
        "print(Bare(), [each.name for each in fields(Bare)])"
    )
    done = subprocess.run(
        [sys.executable, *how, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Bare(x=1) ['x']\n", "")
