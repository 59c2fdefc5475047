"""How far a donor is shrunk at once, and what stops it."""

from dataclasses import replace

from autoscaler.hypervisors.squeeze import BLIND_STEP_MIB, CAREFUL_STEP_MIB, EASY_MARGIN_MIB, FIRST_STEP_MIB, Squeeze
from autoscaler.model import Allocation, DomainObservation, Pressure

QUIET = Pressure(told_at_s=100.0, total_mib=4000, usable_mib=1000, swap_in_mib=0.0, swap_out_mib=0.0, major_faults=0)


def a_donor(memory_mib: int, used_mib: int | None, pressure: Pressure | None = QUIET) -> DomainObservation:
    return DomainObservation("wn", Allocation(memory_mib, 256), 8000, 8, 0.0, used_mib, pressure=pressure)


def later(seconds: float, swap_in_mib: float = 0.0, swap_out_mib: float = 0.0, usable_mib: int = 1000) -> Pressure:
    """A report of so many seconds after the first one."""
    return replace(
        QUIET,
        told_at_s=QUIET.told_at_s + seconds,
        swap_in_mib=swap_in_mib,
        swap_out_mib=swap_out_mib,
        usable_mib=usable_mib,
    )


def told(squeeze: Squeeze, memory_mib: int, used_mib: int, *reports: Pressure) -> list[int | None]:
    """What it asks for at each of a donor's reports."""
    return [squeeze.next_ask(a_donor(memory_mib, used_mib, report)) for report in reports]


def careful(goal_mib: int = 572, swap_down_to_mib: int = 572) -> Squeeze:
    """One that may be squeezed into its swap."""
    return Squeeze("wn", goal_mib, None, swap_down_to_mib)


def sparing(goal_mib: int = 572, keep_usable_mib: int = 128) -> Squeeze:
    """One that must not swap."""
    return Squeeze("wn", goal_mib, keep_usable_mib)


def test_memory_that_is_not_used_is_taken_at_once() -> None:
    assert sparing(2000).next_ask(a_donor(6000, 1000)) == 2000


def test_what_was_asked_for_is_not_asked_again_while_it_is_on_its_way() -> None:
    squeeze = sparing(2000)
    squeeze.next_ask(a_donor(6000, 1000))
    assert squeeze.next_ask(a_donor(4000, 1000)) is None


def test_a_guest_that_never_tells_is_asked_for_the_goal() -> None:
    """As on libvirt's test driver, and on Xen."""
    assert careful(2000).next_ask(a_donor(6000, None, None)) == 2000


def test_one_that_must_not_swap_keeps_what_it_has_come_to_use() -> None:
    """3000 + 128 MiB are more than its goal of 2000."""
    assert sparing(2000).next_ask(a_donor(6000, 3000)) == 3128


def test_one_that_begins_to_use_more_on_its_way_is_stopped() -> None:
    squeeze = sparing(2000)
    squeeze.next_ask(a_donor(6000, 1000))
    assert squeeze.next_ask(a_donor(5000, 3000)) == 3128
    assert squeeze.stopped == "wn keeps 3128 MiB: it uses 3000 MiB now"


def test_one_that_uses_more_than_it_has_left_keeps_all() -> None:
    squeeze = sparing(2000)
    squeeze.next_ask(a_donor(6000, 1000))
    assert squeeze.next_ask(a_donor(2500, 2500)) == 2500


def test_one_that_must_not_swap_is_left_alone_while_it_says_nothing() -> None:
    assert sparing(2000).next_ask(a_donor(6000, None)) is None
    assert sparing(2000).next_ask(a_donor(6000, None, None)) is None


def test_one_that_may_swap_is_first_taken_what_it_does_not_use() -> None:
    assert careful().next_ask(a_donor(6000, 3000)) == 3000 + EASY_MARGIN_MIB


def test_then_it_is_squeezed_a_step_after_two_quiet_reports() -> None:
    squeeze = careful()
    squeeze.next_ask(a_donor(6000, 3000))
    asks = told(squeeze, 3064, 3000, later(1), later(2), later(3))
    assert asks == [None, None, 3064 - CAREFUL_STEP_MIB]


def test_no_step_is_made_while_its_swap_works_on_the_last_one() -> None:
    squeeze = careful()
    reports = [later(second, swap_out_mib=20.0 * second) for second in range(1, 6)]
    assert told(squeeze, 3000, 2950, *reports) == [None] * 5
    rest = [later(second, swap_out_mib=100.0) for second in (6, 7)]
    assert told(squeeze, 3000, 2950, *rest) == [None, 3000 - CAREFUL_STEP_MIB]


def test_a_report_that_is_told_again_is_no_new_one() -> None:
    squeeze = careful()
    assert told(squeeze, 3000, 2950, *[later(1)] * 10) == [None] * 10


def test_the_first_steps_are_small_where_nothing_shows_that_it_has_swap() -> None:
    squeeze = careful()
    reports = [later(second, usable_mib=40) for second in (1, 2, 3)]
    assert told(squeeze, 3000, 2990, *reports) == [None, None, 3000 - 20]


def test_one_that_has_nothing_left_and_does_not_swap_is_stopped_before_a_job_is_killed() -> None:
    squeeze = careful()
    reports = [later(second, usable_mib=0) for second in range(1, 7)]
    assert told(squeeze, 3000, 3000, *reports[:3]) == [None, None, 3000 - FIRST_STEP_MIB]
    assert told(squeeze, 2984, 3000, *reports[3:]) == [None, None, 2984]
    assert squeeze.strained
    assert squeeze.stopped == "wn keeps 2984 MiB: it has nothing left, and no swap takes any of it"


def test_it_is_stopped_where_it_is_when_it_thrashes() -> None:
    squeeze = careful()
    reports = [later(second, swap_in_mib=10.0 * second, usable_mib=10) for second in (1, 2, 3, 4)]
    assert told(squeeze, 2900, 2890, *reports) == [None, None, 2900, None]
    assert squeeze.strained
    assert squeeze.stopped == "wn keeps 2900 MiB: it reads 10.0 MiB/s back from its swap and has 10 MiB left"


def test_it_is_not_squeezed_below_where_it_may_swap_down_to() -> None:
    """Its goal is lower, because it used 300 MiB when it was planned."""
    squeeze = careful(goal_mib=572, swap_down_to_mib=1500)
    assert squeeze.next_ask(a_donor(6000, 300)) == 572
    assert squeeze.next_ask(a_donor(3000, 2000)) == 1500
    assert squeeze.stopped == "wn keeps 1500 MiB: it uses 2000 MiB now"


def test_one_that_may_swap_and_fell_silent_is_squeezed_in_larger_steps_down_to_where_it_may_swap_to() -> None:
    squeeze = careful(goal_mib=572, swap_down_to_mib=1500)
    assert squeeze.next_ask(a_donor(3000, None)) == 3000 - BLIND_STEP_MIB
    squeeze = careful(goal_mib=572, swap_down_to_mib=1500)
    assert squeeze.next_ask(a_donor(1600, None)) == 1500


def test_a_proof_domain_is_squeezed_whatever_it_uses() -> None:
    squeeze = Squeeze("proof", 572, None)
    assert told(squeeze, 700, 700, later(1), later(2), later(3)) == [None, None, 700 - CAREFUL_STEP_MIB]
