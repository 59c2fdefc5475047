"""When a squeezed guest thrashes, and when it has come to rest, in figures measured on real guests."""

from itertools import accumulate

import pytest

from autoscaler.core.strain import quiet, thrashing
from autoscaler.model import Pressure

# Per second: usable of so many MiB, swap-in and swap-out in MiB, major faults.
Second = tuple[int, float, float, int]


def reports(total_mib: int, *seconds: Second) -> list[Pressure]:
    """A report before, and one after each second."""
    swap_in = list(accumulate((second[1] for second in seconds), initial=0.0))
    swap_out = list(accumulate((second[2] for second in seconds), initial=0.0))
    faults = list(accumulate((second[3] for second in seconds), initial=0))
    usable = [total_mib, *(second[0] for second in seconds)]
    return [
        Pressure(1000.0 + number, total_mib, *row)
        for number, row in enumerate(zip(usable, swap_in, swap_out, faults, strict=True))
    ]


def fires_at(total_mib: int, *seconds: Second) -> int | None:
    """After which second the sign is seen, ``None`` for never."""
    told = reports(total_mib, *seconds)
    return next((end - 1 for end in range(2, len(told) + 1) if thrashing(told[:end])), None)


@pytest.mark.parametrize(
    ("total_mib", "seconds"),
    [
        (561, [(79, 0.0, 0.0, 0), (0, 0.0, 16.6, 2), (0, 0.0, 92.5, 0), (10, 0.0, 42.0, 0), (10, 0.0, 0.0, 0)]),
        (305, [(10, 0.0, 144.0, 0), (55, 1.6, 0.3, 53), (45, 3.6, 0.0, 116), (38, 2.1, 0.0, 70), (38, 0.0, 0.0, 0)]),
        (700, [(420, 4.0, 0.0, 120), (430, 3.0, 0.0, 100), (440, 1.5, 0.0, 50)]),
    ],
    ids=["cold memory leaves once", "hot pages evicted by mistake come back once", "after memory was given back"],
)
def test_what_is_harmless_is_no_thrash(total_mib: int, seconds: list[Second]) -> None:
    assert fires_at(total_mib, *seconds) is None


@pytest.mark.parametrize(
    ("total_mib", "seconds", "after"),
    [
        (161, [(0, 0.1, 58.8, 1), (3, 14.1, 9.5, 510), (4, 19.9, 21.7, 700)], 3),
        (321, [(14, 1.6, 0.0, 50), (10, 2.5, 5.0, 80)], 2),
        (321, [(0, 0.2, 9.0, 150), (0, 0.3, 8.0, 160)], 2),
    ],
    ids=["the hot set is cut", "a slow swap", "major faults of a job that waits for its disk"],
)
def test_thrash_is_seen_in_its_second_report(total_mib: int, seconds: list[Second], after: int) -> None:
    assert fires_at(total_mib, *seconds) == after


def test_counters_of_another_boot_say_nothing() -> None:
    before, after = reports(300, (0, 50.0, 50.0, 5000), (0, 50.0, 50.0, 5000))[:2]
    assert thrashing([after, Pressure(1002.0, 300, 0, 0.0, 0.0, 0), before]) is None


def test_a_guest_is_quiet_after_two_pauses_without_swapping() -> None:
    assert not quiet(reports(300, (10, 0.0, 0.0, 0)))
    assert quiet(reports(300, (10, 0.0, 50.0, 0), (10, 0.0, 0.5, 0), (10, 0.0, 0.0, 0)))
    assert not quiet(reports(300, (10, 0.0, 50.0, 0), (10, 0.0, 0.0, 0)))
    assert not quiet(reports(300, (10, 0.0, 0.0, 0), (10, 2.0, 0.0, 0)))
