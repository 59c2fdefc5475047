"""The safe split never takes the workers of a query, and never guesses."""

import pytest

from autoscaler.core.safe import SafeSplit
from autoscaler.testing import proof_window

SAFE = SafeSplit("10 cycles failed in a row")


def test_nobody_works_means_no_workers() -> None:
    assert SAFE.decide(proof_window([0], [0])).workers == 0


@pytest.mark.parametrize(("queued", "running"), [(0, 1), (2, 0), (1, 1)])
def test_sessions_that_run_or_wait_keep_what_there_is(queued: float, running: float) -> None:
    assert SAFE.decide(proof_window([queued], [running])).workers is None


@pytest.mark.parametrize(("queued", "running"), [(None, 0), (0, None), (None, None)])
def test_an_unknown_load_keeps_what_there_is(queued: float | None, running: float | None) -> None:
    assert SAFE.decide(proof_window([queued], [running])).workers is None


def test_the_reason_says_why_nobody_else_was_asked() -> None:
    assert SAFE.decide(proof_window([0], [0])).reason == (
        "safe split, 10 cycles failed in a row: no session runs or waits"
    )
