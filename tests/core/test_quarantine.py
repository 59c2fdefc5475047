"""When a balloon that does not move is left alone, and for how long."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autoscaler.core.quarantine import FIRST_WAIT, LONGEST_WAIT, after
from autoscaler.model import Outcome, Quarantine, Result
from autoscaler.testing import NOW

LATER = NOW + timedelta(hours=5)


def an_outcome(result: Result, stuck: str | None = None) -> Outcome:
    return Outcome("host-1", result, "wn did not move", LATER, LATER, stuck=stuck)


def a_quarantine(failures: int = 1, domain: str = "wn") -> Quarantine:
    return Quarantine(domain, "it did not move", NOW, failures, NOW + FIRST_WAIT)


def test_a_domain_that_did_not_move_is_left_alone_for_a_while() -> None:
    assert after(an_outcome(Result.PARTIAL, "wn"), None, None) == Quarantine(
        "wn", "wn did not move", LATER, 1, LATER + FIRST_WAIT
    )


def test_each_failure_in_a_row_doubles_the_wait_and_keeps_the_beginning() -> None:
    quarantine = after(an_outcome(Result.PARTIAL, "wn"), "wn", a_quarantine(failures=2))
    assert quarantine is not None
    assert (quarantine.failures, quarantine.since, quarantine.probe_at) == (3, NOW, LATER + 4 * FIRST_WAIT)


@pytest.mark.parametrize("failures", [5, 100, 10_000])
def test_the_wait_has_an_end(failures: int) -> None:
    quarantine = after(an_outcome(Result.PARTIAL, "wn"), "wn", a_quarantine(failures))
    assert quarantine is not None
    assert quarantine.probe_at == LATER + LONGEST_WAIT


def test_another_domain_that_does_not_move_begins_anew() -> None:
    quarantine = after(an_outcome(Result.PARTIAL, "proof"), "wn", a_quarantine(failures=4))
    assert quarantine is not None
    assert (quarantine.domain, quarantine.failures, quarantine.since) == ("proof", 1, LATER)


def test_a_probe_that_moved_its_domain_lifts_the_quarantine() -> None:
    assert after(an_outcome(Result.DONE), "wn", a_quarantine()) is None


@pytest.mark.parametrize("result", [Result.PARTIAL, Result.FAILED, Result.INTERRUPTED])
def test_a_probe_that_ended_otherwise_lifts_nothing_and_puts_the_next_off(result: Result) -> None:
    outcome = an_outcome(result)
    later = replace(a_quarantine(), probe_at=outcome.ended_at + FIRST_WAIT)
    assert after(outcome, "wn", a_quarantine()) == later


def test_a_transfer_that_was_no_probe_lifts_nothing() -> None:
    assert after(an_outcome(Result.DONE), None, a_quarantine()) == a_quarantine()


def test_a_transfer_in_which_all_moved_quarantines_nobody() -> None:
    assert after(an_outcome(Result.DONE), None, None) is None
