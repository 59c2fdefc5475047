"""The two policies that look at nothing."""

import pytest

from autoscaler.model import Demand, Window
from autoscaler.testing import NOW, proof_window
from policies.hold import Hold
from policies.static import Static


def test_static_always_wants_its_number() -> None:
    assert Static(6).decide(proof_window([9], [9])) == Demand(6, "always 6 workers")
    assert Static(6).decide(Window(NOW)) == Demand(6, "always 6 workers")


def test_static_may_want_none() -> None:
    assert Static(0).decide(Window(NOW)).workers == 0


def test_static_refuses_a_negative_number() -> None:
    with pytest.raises(ValueError, match="workers must be 0 or more"):
        Static(-1)


def test_hold_wants_nothing_changed() -> None:
    assert Hold().decide(proof_window([9], [9])).workers is None
