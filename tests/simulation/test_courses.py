"""Leaving out what is known of how a transfer goes changes no movement."""

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.plan import plan
from autoscaler.model import Transfer
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.courses import COURSES, Courses
from autoscaler.simulation.movement import movement
from autoscaler.testing import observed
from tests.simulation.plant import A_HOST

_FEW_MIB, _MANY_MIB = 600, 5000


def _transfer(before: int, after: int) -> Transfer:
    transfer = plan(A_HOST, observed(A_HOST, workers=before, wn_used_mib=_FEW_MIB), before, after)
    assert transfer is not None
    return transfer


_TRANSFERS = [_transfer(*way) for way in ((0, 1), (1, 0), (0, 4), (4, 8), (8, 0))]
_moves = st.tuples(
    st.sampled_from(_TRANSFERS),
    st.sampled_from([0, _FEW_MIB, 3743, 3744, 4500, _MANY_MIB, 6911, None]),
    st.sampled_from([0.0, 2.0, 8.0]),
    st.sampled_from([0.0, 1.8, 7.2]),
)


@given(moves=st.lists(_moves, max_size=12))
def test_a_movement_is_the_same_whatever_is_known_from_earlier_ones(
    moves: list[tuple[Transfer, int | None, float, float]],
) -> None:
    courses = Courses(A_HOST, PHYSICS)
    for transfer, used_mib, proof_cores, wn_cores in moves:
        seen = observed(A_HOST, workers=transfer.workers_from, wn_used_mib=used_mib)
        busy = {"proof": proof_cores, "wn": wn_cores}
        assert courses.of(seen, transfer, busy) == movement(A_HOST, seen, transfer, PHYSICS, busy)


def test_a_transfer_that_goes_as_it_went_is_not_reckoned_again() -> None:
    courses, transfer, busy = Courses(A_HOST, PHYSICS), _TRANSFERS[0], {"proof": 0.0, "wn": 1.8}
    first, second = (observed(A_HOST, workers=0, wn_used_mib=used_mib) for used_mib in (600, 700))
    assert courses.of(first, transfer, busy) is courses.of(second, transfer, busy)


def test_what_takes_memory_that_is_used_is_reckoned_each_time() -> None:
    courses, transfer, busy = Courses(A_HOST, PHYSICS), _transfer(0, 4), {"proof": 0.0, "wn": 1.8}
    seen = observed(A_HOST, workers=0, wn_used_mib=_MANY_MIB)
    assert courses.of(seen, transfer, busy) is not courses.of(seen, transfer, busy)


def test_only_so_many_movements_are_remembered() -> None:
    courses, transfer = Courses(A_HOST, PHYSICS), _TRANSFERS[0]
    seen = observed(A_HOST, workers=0, wn_used_mib=_FEW_MIB)
    first = courses.of(seen, transfer, {"proof": 0.0, "wn": 0.0})
    for number in range(COURSES):
        courses.of(seen, transfer, {"proof": 0.0, "wn": (number + 1) / COURSES})
    assert courses.of(seen, transfer, {"proof": 0.0, "wn": 0.0}) is not first
