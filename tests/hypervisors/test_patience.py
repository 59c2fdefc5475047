"""How long one step may take."""

import pytest

from autoscaler.hypervisors.patience import DEADLINE_STALLS, Patience


def looked(patience: Patience, *sizes_mib: int, goal_mib: int = 572) -> Patience:
    """After one look each second."""
    for size_mib in sizes_mib:
        patience.look(size_mib, goal_mib, 1.0)
    return patience


def test_one_that_does_not_move_is_waited_for_as_long_as_the_stall_time() -> None:
    """The first look finds it where it is."""
    assert not looked(Patience(6911, 5.0), *[6911] * 6).over
    assert looked(Patience(6911, 5.0), *[6911] * 7).over


def test_one_that_did_not_move_is_told_from_one_that_stopped() -> None:
    assert not looked(Patience(6911, 5.0), *[6911] * 7).moved
    assert looked(Patience(6911, 5.0), 5000, *[5000] * 7).moved


def test_coming_closer_begins_the_wait_anew() -> None:
    assert not looked(Patience(6911, 5.0), *[6911] * 5, 6000, *[6000] * 5).over


def test_trembling_is_no_movement() -> None:
    patience = looked(Patience(6911, 5.0), *[6911, 6905] * 4)
    assert patience.over
    assert not patience.moved


def test_going_the_wrong_way_is_not_coming_closer() -> None:
    assert looked(Patience(4000, 5.0), *[4000 + 100 * number for number in range(7)]).over


def test_however_it_creeps_there_is_an_end() -> None:
    steps = int(5 * DEADLINE_STALLS) + 1
    assert looked(Patience(6911, 5.0), *[6911 - 20 * number for number in range(steps)]).over


@pytest.mark.parametrize("off_mib", [-16, 0, 16])
def test_one_that_is_nearly_there_is_not_called_stuck(off_mib: int) -> None:
    assert looked(Patience(572 + off_mib, 5.0), *[572 + off_mib] * 7).moved
