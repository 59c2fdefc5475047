"""The laws of the guards over any host, and each guard's rule in numbers."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.calendar import Freeze
from autoscaler.core.guards import (
    GUARDS,
    Guard,
    HostView,
    bounds,
    calendar,
    cooldown,
    dead_band,
    fresh,
    host_sum,
    override,
    pause,
    run_guards,
    strain,
    unknown_reason,
    wn_floor,
)
from autoscaler.core.orders import HostOrders
from autoscaler.model import Allocation, Direction, DomainState, GuardLimits, Host, HostTimers, Window
from autoscaler.testing import A_SWAPPING_WN, A_WN, NOW, a_host, a_window, observed
from tests.core.situations import (
    a_pause,
    an_override,
    signals,
    unhurried,
    views,
    wanted_workers,
    windows,
    without_dead_band,
)

HOLDING = [fresh, calendar, dead_band, cooldown, strain, wn_floor, pause]


def a_view(
    current: int = 2,
    *,
    host: Host | None = None,
    wn_used_mib: int | None = 500,
    unmanaged_mib: int = 0,
    timers: HostTimers | None = None,
    window: Window | None = None,
    signals: tuple[str, ...] = ("load",),
    limits: GuardLimits | None = None,
) -> HostView:
    """The prototype's host at so many workers, everything fresh, no timer running."""
    host, window, limits = host or a_host(), window or a_window({"load": [1.0]}), limits or GuardLimits()
    return HostView(
        host=host,
        observed=observed(host, workers=current, wn_used_mib=wn_used_mib, unmanaged_mib=unmanaged_mib),
        current=current,
        timers=timers or HostTimers(host.name),
        now=window.now,
        unknown=unknown_reason(window, signals, limits),
        limits=limits,
    )


def within_bounds(workers: int, view: HostView) -> bool:
    """Between the configured numbers, and within the domain's own maximum; the maximum wins over the minimum."""
    proof = view.host.proof
    domain_mib = view.observed.domain(proof.name).memory_max_mib
    fits = workers == 0 or proof.dormant.memory_mib + workers * proof.memory_per_worker_mib <= domain_mib
    one_more_fits = proof.dormant.memory_mib + (workers + 1) * proof.memory_per_worker_mib <= domain_mib
    enough = workers >= proof.workers_min or not one_more_fits
    return 0 <= workers <= proof.workers_max and fits and enough


def within_host_sum(workers: int, view: HostView) -> bool:
    """PROOF, the Worker Node's floor and all others fit; a dormant PROOF domain is as small as it gets."""
    host = view.host
    proof_mib = host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib
    total_mib = proof_mib + host.wns[0].memory_floor_mib + view.observed.unmanaged_mib
    return workers == 0 or total_mib <= memory_for_guests_mib(host, view.observed)


def unknown(window: Window, names: tuple[str, ...]) -> bool:
    """Whether a signal the demand rests on has no value, no age, or an age that means nothing."""
    for name in names:
        signal = window.signal(name)
        if signal.latest is None or signal.fresh_at is None:
            return True
        age_s = (window.now - signal.fresh_at).total_seconds()
        if age_s < -5 or age_s > 90:
            return True
    return False


@pytest.mark.parametrize("guard", HOLDING)
@unhurried
@given(wanted=wanted_workers, view=views)
def test_a_guard_never_increases_the_change(guard: Guard, wanted: int, view: HostView) -> None:
    workers = guard(wanted, view).workers
    assert min(view.current, wanted) <= workers <= max(view.current, wanted)


@pytest.mark.parametrize(("guard", "legal"), [(bounds, within_bounds), (host_sum, within_host_sum)])
@unhurried
@given(wanted=wanted_workers, view=views)
def test_a_limit_never_increases_the_change_of_what_is_legal_now(guard, legal, wanted: int, view: HostView) -> None:
    workers = guard(wanted, view).workers
    if legal(view.current, view):
        assert min(view.current, wanted) <= workers <= max(view.current, wanted)


@pytest.mark.parametrize(("guard", "legal"), [(bounds, within_bounds), (host_sum, within_host_sum)])
@unhurried
@given(wanted=wanted_workers.filter(lambda wanted: wanted >= 0), view=views)
def test_a_limit_lets_through_the_nearest_legal_number(guard, legal, wanted: int, view: HostView) -> None:
    workers = guard(wanted, view).workers
    assert legal(workers, view)
    nearer = range(min(workers, wanted), max(workers, wanted) + 1)
    assert [other for other in nearer if other != workers and legal(other, view)] == []


@pytest.mark.parametrize("guard", GUARDS)
@unhurried
@given(wanted=wanted_workers, view=views)
def test_a_guard_applied_twice_is_the_guard_applied_once(guard: Guard, wanted: int, view: HostView) -> None:
    once = guard(wanted, view).workers
    assert guard(once, view).workers == once


@unhurried
@given(wanted=wanted_workers, view=views.map(without_dead_band))
def test_what_all_guards_let_through_passes_all_guards(wanted: int, view: HostView) -> None:
    granted, _ = run_guards(wanted, view, GUARDS)
    assert run_guards(granted, view, GUARDS)[0] == granted


@unhurried
@given(wanted=wanted_workers, view=views)
def test_all_guards_end_within_the_bounds_and_the_host_sum(wanted: int, view: HostView) -> None:
    """The host sum wins over the configured minimum; what is there on a paused host stays even beyond its bounds."""
    granted, _ = run_guards(wanted, view, GUARDS)
    assert within_host_sum(granted, view)
    kept = view.orders != HostOrders() and granted == host_sum(view.current, view).workers
    assert within_bounds(granted, view) or not within_host_sum(granted + 1, view) or kept
    assert 0 <= granted <= view.host.proof.workers_max or kept


@unhurried
@given(wanted=wanted_workers, view=views)
def test_all_guards_never_increase_the_change_of_what_is_legal_now(wanted: int, view: HostView) -> None:
    granted, _ = run_guards(wanted, view, GUARDS)
    if within_bounds(view.current, view) and within_host_sum(view.current, view) and not view.orders.override:
        assert min(view.current, wanted) <= granted <= max(view.current, wanted)


@unhurried
@given(wanted=wanted_workers, view=views)
def test_a_paused_direction_is_not_taken_except_for_what_the_host_cannot_hold(wanted: int, view: HostView) -> None:
    granted, _ = run_guards(wanted, view, GUARDS)
    assert view.orders.growing is None or granted <= view.current
    assert view.orders.shrinking is None or granted >= view.current or not within_host_sum(view.current, view)


@unhurried
@given(wanted=wanted_workers, view=views)
def test_an_override_takes_from_the_worker_node_no_more_than_the_floor_lets_any_policy(wanted, view: HostView) -> None:
    granted = override(wanted, view).workers
    if view.orders.override is not None and granted > max(view.current, view.host.proof.workers_min):
        assert wn_floor(granted, view).workers == granted


@unhurried
@given(wanted=wanted_workers, view=views)
def test_an_unknown_signal_holds_and_a_known_one_does_not(wanted: int, view: HostView) -> None:
    verdict = fresh(wanted, view)
    if view.walks_to is None:
        assert verdict.workers == (wanted if view.unknown is None else view.current)
    assert verdict.reason == (view.unknown or "")


@unhurried
@given(wanted=wanted_workers, view=views.filter(lambda view: view.unknown is not None and view.walks_to is not None))
def test_a_walk_to_the_safe_split_never_grows_and_takes_nothing_that_it_is_to_leave(wanted: int, view) -> None:
    workers = fresh(wanted, view).workers
    assert workers <= view.current
    assert workers >= min(view.current, view.walks_to)


@unhurried
@given(windows, signals)
def test_a_signal_without_a_value_or_of_an_age_that_means_nothing_is_unknown(
    window: Window, names: tuple[str, ...]
) -> None:
    assert bool(unknown_reason(window, names, GuardLimits())) == unknown(window, names)


@unhurried
@given(wanted=wanted_workers, view=views)
def test_the_worker_node_keeps_what_it_uses_and_its_margin_when_proof_grows(wanted: int, view: HostView) -> None:
    host, wn = view.host, view.host.wns[0]
    granted = wn_floor(wanted, view).workers
    if granted > view.current:
        used_mib = view.observed.domain("wn").used_mib
        proof_mib = host.proof.dormant.memory_mib + granted * host.proof.memory_per_worker_mib
        left_mib = memory_for_guests_mib(host, view.observed) - view.observed.unmanaged_mib - proof_mib
        assert left_mib >= wn.memory_floor_mib
        assert wn.swap_down_to_mib is not None or (used_mib is not None and left_mib >= used_mib + wn.memory_margin_mib)


@unhurried
@given(wanted=wanted_workers, view=views)
def test_every_cut_says_which_guard_took_how_much_and_why(wanted: int, view: HostView) -> None:
    granted, cuts = run_guards(wanted, view, GUARDS)
    workers = wanted
    for cut in cuts:
        assert cut.before == workers
        assert cut.reason
        workers = cut.after
    assert workers == granted
    assert [cut.guard for cut in cuts] == [
        guard.__name__ for guard in GUARDS if guard.__name__ in {c.guard for c in cuts}
    ]


def test_an_old_signal_holds() -> None:
    """91 s is older than 90 s."""
    view = a_view(2, window=a_window({"load": [1.0]}, age=timedelta(seconds=91)))
    assert fresh(5, view).workers == 2
    assert fresh(5, view).reason == "load is 91 s old, fresh is 0 to 90 s"


def test_a_signal_just_fresh_enough_lets_through() -> None:
    assert fresh(5, a_view(2, window=a_window({"load": [1.0]}, age=timedelta(seconds=90)))).workers == 5


def test_a_signal_slightly_from_the_future_lets_through() -> None:
    """Two clocks differ by 5 s at most."""
    assert fresh(5, a_view(2, window=a_window({"load": [1.0]}, age=timedelta(seconds=-5)))).workers == 5


def test_a_signal_from_far_in_the_future_holds() -> None:
    assert fresh(5, a_view(2, window=a_window({"load": [1.0]}, age=timedelta(seconds=-6)))).workers == 2


def test_a_missing_value_holds_and_says_why() -> None:
    view = a_view(2, window=a_window({"load": [1.0, None]}))
    assert fresh(0, view).workers == 2
    assert fresh(0, view).reason == "load is unknown: no value"


def test_a_signal_that_is_not_configured_holds() -> None:
    view = a_view(2, window=a_window({}))
    assert fresh(5, view).reason == "load is unknown: signal load is not configured"


def test_one_stale_signal_of_two_holds() -> None:
    both = a_view(2, window=a_window({"load": [1.0], "queue": [None]}), signals=("load", "queue"))
    assert fresh(5, both).workers == 2


def test_a_policy_that_reads_nothing_is_never_held_for_staleness() -> None:
    assert fresh(5, a_view(2, window=a_window({}), signals=())).workers == 5


@pytest.mark.parametrize(
    ("current", "wanted", "granted"),
    [(4, 6, 4), (4, 2, 4), (4, 7, 7), (4, 1, 1), (4, 4, 4), (0, 1, 1), (1, 0, 0)],
    ids=["grow by 2", "shrink by 2", "grow by 3", "shrink by 3", "stay", "wake up", "go dormant"],
)
def test_changes_below_the_dead_band_are_left_out(current: int, wanted: int, granted: int) -> None:
    assert dead_band(wanted, a_view(current, limits=GuardLimits(dead_band_workers=3))).workers == granted


def shrank(ago: timedelta) -> HostTimers:
    return HostTimers("host-1", shrank_at=NOW - ago)


def grew(ago: timedelta) -> HostTimers:
    return HostTimers("host-1", grew_at=NOW - ago)


def test_a_host_does_not_shrink_soon_after_it_grew() -> None:
    """300 s - 100 s = 200 s to go."""
    verdict = cooldown(0, a_view(2, timers=grew(timedelta(seconds=100))))
    assert verdict.workers == 2
    assert verdict.reason == "may shrink again in 200 s"


def test_a_host_shrinks_when_its_cooldown_is_over() -> None:
    assert cooldown(0, a_view(2, timers=grew(timedelta(seconds=300)))).workers == 0


def test_a_host_grows_at_once_when_growing_has_no_cooldown() -> None:
    assert cooldown(5, a_view(2, timers=shrank(timedelta(0)))).workers == 5


def test_each_direction_waits_its_own_time() -> None:
    """100 s after the last change: growing waits 60 s, shrinking 300 s."""
    limits = GuardLimits(grow_cooldown=timedelta(seconds=60), shrink_cooldown=timedelta(seconds=300))
    view = a_view(2, timers=shrank(timedelta(seconds=100)), limits=limits)
    assert cooldown(5, view).workers == 5
    assert cooldown(0, view).workers == 2


def test_the_later_of_the_two_timers_counts() -> None:
    timers = HostTimers("host-1", grew_at=NOW - timedelta(seconds=10), shrank_at=NOW - timedelta(seconds=1000))
    assert cooldown(0, a_view(2, timers=timers)).reason == "may shrink again in 290 s"


def test_a_timer_from_the_future_is_of_a_clock_that_was_set_back() -> None:
    assert cooldown(0, a_view(2, timers=grew(-timedelta(days=30)))).workers == 0


def test_a_host_that_never_changed_may_change() -> None:
    assert cooldown(0, a_view(2)).workers == 0


def test_the_worker_node_keeps_its_memory_in_use() -> None:
    """4000 used + 256 margin leave 7483 - 4256 = 3227 for PROOF; (3227 - 572) / 792 = 3.35."""
    verdict = wn_floor(8, a_view(0, wn_used_mib=4000))
    assert verdict.workers == 3
    assert verdict.reason == "wn keeps 4256 MiB"


def test_the_worker_node_never_goes_below_its_floor() -> None:
    """10 used + 256 margin are less than the floor of 572: (7483 - 572 - 572) / 792 = 8.004."""
    assert wn_floor(9, a_view(0, wn_used_mib=10)).workers == 8


def test_memory_of_other_domains_is_not_given_away() -> None:
    """(7483 - 1000 - 4256 - 572) / 792 = 2.09."""
    assert wn_floor(8, a_view(0, wn_used_mib=4000, unmanaged_mib=1000)).workers == 2


def test_where_the_worker_node_may_swap_only_its_floor_counts() -> None:
    host = a_host()
    swapping = replace(host, wns=(replace(host.wns[0], swap_down_to_mib=572),))
    assert wn_floor(8, a_view(0, host=swapping, wn_used_mib=6000)).workers == 8
    assert wn_floor(8, a_view(0, host=swapping, wn_used_mib=None)).workers == 8


def test_a_silent_worker_node_lets_nothing_grow() -> None:
    verdict = wn_floor(3, a_view(2, wn_used_mib=None))
    assert verdict.workers == 2
    assert "does not say how much memory it uses" in verdict.reason


def test_a_silent_worker_node_lets_proof_shrink() -> None:
    assert wn_floor(1, a_view(2, wn_used_mib=None)).workers == 1


def test_a_worker_node_that_uses_too_much_already_makes_no_host_shrink() -> None:
    """With 6000 + 256 used there is room for 0 workers, but taking away is not this guard's business."""
    assert wn_floor(5, a_view(2, wn_used_mib=6000)).workers == 2


@pytest.mark.parametrize(("wanted", "granted"), [(-1, 2), (1, 2), (2, 2), (5, 5), (6, 6), (7, 6)])
def test_workers_stay_between_minimum_and_maximum(wanted: int, granted: int) -> None:
    host = a_host()
    bounded = replace(host, proof=replace(host.proof, workers_min=2, workers_max=6))
    assert bounds(wanted, a_view(3, host=bounded)).workers == granted


def test_workers_stay_within_the_domains_own_maximum() -> None:
    """(6911 - 572) / 792 = 8.004, whatever the configuration says."""
    host = a_host()
    generous = replace(host, proof=replace(host.proof, workers_max=20))
    assert bounds(12, a_view(2, host=generous)).workers == 8


def test_a_configured_minimum_above_the_domains_maximum_gives_way() -> None:
    """(2000 - 572) / 792 = 1.8."""
    host = a_host()
    demanding = replace(host, proof=replace(host.proof, workers_min=4))
    view = a_view(0, host=demanding)
    proof, wn = view.observed.domains
    small = replace(view, observed=replace(view.observed, domains=(replace(proof, memory_max_mib=2000), wn)))
    assert bounds(6, small).workers == 1


def test_the_host_sum_holds_for_proof_the_floor_and_all_others() -> None:
    """7483 - 2000 - 572 = 4911 for PROOF; (4911 - 572) / 792 = 5.5."""
    verdict = host_sum(8, a_view(0, unmanaged_mib=2000))
    assert verdict.workers == 5
    assert verdict.reason == "6908 MiB for PROOF and host-1 has 7483 MiB for guests"


def test_a_host_overfull_with_other_domains_gets_no_workers() -> None:
    assert host_sum(3, a_view(0, unmanaged_mib=7000)).workers == 0


def test_bounds_win_over_a_hold() -> None:
    """What is there is illegal, so that it cannot be held: 6 workers, at most 4."""
    host = a_host()
    smaller = replace(host, proof=replace(host.proof, workers_max=4))
    view = a_view(6, host=smaller, timers=grew(timedelta(seconds=10)))
    granted, cuts = run_guards(5, view, GUARDS)
    assert granted == 4
    assert [(cut.guard, cut.before, cut.after) for cut in cuts] == [("cooldown", 5, 6), ("bounds", 6, 4)]


def test_the_host_sum_wins_over_the_configured_minimum() -> None:
    """7483 - 6000 - 572 = 911 for PROOF; (911 - 572) / 792 is less than one worker, although two are the minimum."""
    host = a_host()
    demanding = replace(host, proof=replace(host.proof, workers_min=2))
    assert run_guards(2, a_view(0, host=demanding, unmanaged_mib=6000), GUARDS)[0] == 0


def strained(ago: timedelta) -> HostTimers:
    return HostTimers("host-1", strained_at=NOW - ago)


class TestStrain:
    """After a Worker Node began to swap nothing more is taken from any for a while."""

    def test_a_host_does_not_grow_soon_after(self) -> None:
        """300 s - 100 s = 200 s to go."""
        verdict = strain(5, a_view(2, timers=strained(timedelta(seconds=100))))
        assert verdict.workers == 2
        assert verdict.reason == "a Worker Node began to swap; may grow again in 200 s"

    def test_a_host_may_shrink_at_once(self) -> None:
        assert strain(1, a_view(2, timers=strained(timedelta(0)))).workers == 1

    def test_a_host_may_grow_when_its_time_is_over(self) -> None:
        assert strain(5, a_view(2, timers=strained(timedelta(seconds=300)))).workers == 5

    def test_a_time_from_the_future_is_of_a_clock_that_was_set_back(self) -> None:
        assert strain(5, a_view(2, timers=strained(-timedelta(days=30)))).workers == 5


def with_domain(view: HostView, name: str, **changes: object) -> HostView:
    """The view with fields of one domain changed."""
    domains = tuple(replace(each, **changes) if each.name == name else each for each in view.observed.domains)
    return replace(view, observed=replace(view.observed, domains=domains))


def sleeping(state: DomainState) -> Host:
    """The prototype's host, where PROOF sleeps without workers."""
    host = a_host()
    return replace(host, proof=replace(host.proof, dormant_state=state))


class TestBoundsOfCoresAndStates:
    """A worker needs a core, and a domain that may run."""

    def test_workers_stay_within_the_cores_of_the_host(self) -> None:
        view = a_view(2)
        four = replace(view, observed=replace(view.observed, cores=4))
        assert bounds(8, four).workers == 4
        assert bounds(8, four).reason.endswith("; the host has 4 cores for guests)")

    def test_the_reserve_of_cores_is_kept(self) -> None:
        """4 - 1.5 cores hold two whole workers."""
        view = a_view(2, host=a_host(cpu_reserve_cores=1.5))
        assert bounds(8, replace(view, observed=replace(view.observed, cores=4))).workers == 2

    def test_a_host_that_does_not_tell_its_cores_is_bound_by_the_rest(self) -> None:
        assert bounds(8, a_view(2)).workers == 8

    @pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF])
    def test_a_domain_that_somebody_else_stopped_gets_no_workers(self, state: DomainState) -> None:
        verdict = bounds(3, with_domain(a_view(0), "proof", state=state))
        assert verdict.workers == 0
        assert verdict.reason == f"domain proof is {state.value.replace('_', ' ')}: start it with virsh"

    @pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.SAVED, DomainState.SHUT_OFF])
    def test_a_domain_that_sleeps_by_our_own_hand_gets_workers(self, state: DomainState) -> None:
        assert bounds(3, with_domain(a_view(0, host=sleeping(state)), "proof", state=state)).workers == 3

    def test_a_domain_that_does_not_exist_gets_no_workers(self) -> None:
        view = a_view(0, host=sleeping(DomainState.SAVED))
        assert bounds(3, with_domain(view, "proof", state=DomainState.ABSENT)).workers == 0


class TestAStart:
    """A domain that is off may take more at once than its workers need."""

    def view(self, start_mib: int) -> HostView:
        off = {"state": DomainState.SHUT_OFF, "allocation": Allocation(0, 256), "start_mib": start_mib}
        return with_domain(a_view(0, host=sleeping(DomainState.SHUT_OFF)), "proof", **off)

    @pytest.mark.parametrize("guard", [wn_floor, host_sum])
    def test_that_has_room_is_let_through(self, guard: Guard) -> None:
        assert guard(1, self.view(4000)).workers == 1

    def test_that_has_no_room_beside_what_the_worker_node_keeps_is_not(self) -> None:
        """500 + 256 used and margin, 7483 - 756 = 6727."""
        assert wn_floor(1, self.view(6728)).workers == 0

    def test_needs_room_for_a_worker_node_that_rests_a_little_above_its_goal(self) -> None:
        """7483 - 572 - 8 = 6903."""
        assert host_sum(1, self.view(6903)).workers == 1
        assert host_sum(1, self.view(6904)).workers == 0


class TestSeveralWorkerNodes:
    """What each keeps is added up."""

    HOST = a_host(wns=(A_WN, replace(A_SWAPPING_WN, name="wn-2", swap_down_to_mib=1500)))

    def test_each_keeps_what_it_needs(self) -> None:
        """3000 + 256, and of the other only 1500: 7483 - 4756 - 572 = 2155 for workers of 792."""
        verdict = wn_floor(8, a_view(0, host=self.HOST, wn_used_mib=3000))
        assert (verdict.workers, verdict.reason) == (2, "wn and wn-2 keep 4756 MiB")

    def test_the_floors_of_all_are_within_the_host_sum(self) -> None:
        """7483 - 2 * 572 - 572 = 5767 for workers of 792."""
        assert host_sum(8, a_view(0, host=self.HOST)).workers == 7

    def test_one_silent_one_lets_nothing_grow(self) -> None:
        view = with_domain(a_view(2, host=self.HOST), "wn", used_mib=None)
        assert wn_floor(8, view).workers == 2

    def test_a_silent_one_that_may_swap_keeps_what_it_may_be_squeezed_to(self) -> None:
        """500 + 256 and 1500: 7483 - 2256 - 572 = 4655."""
        assert wn_floor(8, with_domain(a_view(0, host=self.HOST), "wn-2", used_mib=None)).workers == 5

    def test_one_that_is_off_keeps_its_floor(self) -> None:
        """500 + 256 and 572: 7483 - 1328 - 572 = 5583."""
        off = {"state": DomainState.SHUT_OFF, "allocation": Allocation(0, 256), "used_mib": None}
        assert wn_floor(8, with_domain(a_view(0, host=self.HOST), "wn-2", **off)).workers == 7

    def test_a_paused_one_keeps_all_it_has(self) -> None:
        """756 and 3455: 7483 - 4211 - 572 = 2700."""
        paused = {"state": DomainState.PAUSED, "used_mib": None}
        assert wn_floor(8, with_domain(a_view(0, host=self.HOST), "wn-2", **paused)).workers == 3


class TestCalendar:
    """Hours in which hosts do not change."""

    def test_a_frozen_direction_holds_and_says_when(self) -> None:
        verdict = calendar(5, replace(a_view(2), freeze=Freeze(growing="Fri 18:00-24:00")))
        assert (verdict.workers, verdict.reason) == (2, "growing frozen (Fri 18:00-24:00)")

    def test_the_other_direction_is_free(self) -> None:
        assert calendar(1, replace(a_view(2), freeze=Freeze(growing="Fri"))).workers == 1
        assert calendar(5, replace(a_view(2), freeze=Freeze(shrinking="Fri"))).workers == 5

    def test_a_person_wins_over_it(self) -> None:
        view = replace(a_view(2), freeze=Freeze("Fri", "Fri"), orders=HostOrders(override=an_override(4)))
        assert run_guards(0, view, GUARDS)[0] == 4

    def test_bounds_win_over_it(self) -> None:
        host = a_host()
        smaller = replace(host, proof=replace(host.proof, workers_max=4))
        assert run_guards(6, replace(a_view(6, host=smaller), freeze=Freeze("Fri", "Fri")), GUARDS)[0] == 4


def paused(*directions: Direction) -> HostOrders:
    growing, shrinking = (a_pause(each) if each in directions else None for each in Direction)
    return HostOrders(growing, shrinking)


class TestPause:
    """A person keeps a host as it is, in one direction or in both."""

    def test_a_host_that_may_not_grow_keeps_what_it_has_and_says_who_said_so(self) -> None:
        verdict = pause(5, replace(a_view(2), orders=paused(Direction.GROW)))
        assert verdict.workers == 2
        assert verdict.reason == "growing paused until 2026-11-23 13:00:00 UTC by anna: kernel update"

    def test_a_host_that_may_not_grow_may_shrink(self) -> None:
        assert pause(1, replace(a_view(2), orders=paused(Direction.GROW))).workers == 1

    def test_a_host_that_may_not_shrink_may_grow(self) -> None:
        view = replace(a_view(2), orders=paused(Direction.SHRINK))
        assert (pause(1, view).workers, pause(5, view).workers) == (2, 5)

    def test_a_paused_host_is_left_even_beyond_its_bounds(self) -> None:
        host = a_host()
        smaller = replace(host, proof=replace(host.proof, workers_max=4))
        view = replace(a_view(6, host=smaller), orders=paused(*Direction))
        assert run_guards(0, view, GUARDS)[0] == 6

    def test_what_the_host_cannot_hold_is_taken_back_nevertheless(self) -> None:
        """7483 - 2000 - 572 = 4911 for PROOF; (4911 - 572) / 792 = 5.5."""
        view = replace(a_view(8, unmanaged_mib=2000), orders=paused(*Direction))
        assert run_guards(8, view, GUARDS)[0] == 5


class TestOverride:
    """A person says how many workers a host has."""

    def view(self, workers: int, current: int = 2, **changes: object) -> HostView:
        return replace(a_view(current, **changes), orders=HostOrders(override=an_override(workers)))  # type: ignore[arg-type]

    def test_wins_over_what_is_wanted_and_says_who_said_so(self) -> None:
        verdict = override(0, self.view(4))
        assert verdict.workers == 4
        assert verdict.reason == "set to 4 workers until 2026-11-23 13:00:00 UTC by anna: tutorial"

    def test_waits_for_no_cooldown_and_no_signal(self) -> None:
        view = self.view(0, timers=grew(timedelta(0)), window=a_window({"load": [None]}))
        assert run_guards(2, view, GUARDS)[0] == 0

    def test_leaves_the_worker_node_its_memory_in_use(self) -> None:
        """As without it: 3.35 workers fit beside 4000 + 256."""
        verdict = override(0, self.view(8, current=0, wn_used_mib=4000))
        assert verdict.workers == 3
        assert verdict.reason.endswith("tutorial; wn keeps 4256 MiB")

    def test_leaves_a_worker_node_alone_that_began_to_swap(self) -> None:
        assert override(0, self.view(8, timers=strained(timedelta(0)))).workers == 2

    def test_stays_within_the_bounds(self) -> None:
        assert override(0, self.view(20, wn_used_mib=10)).workers == 8

    def test_gives_way_to_a_pause(self) -> None:
        view = self.view(4)
        both = replace(view, orders=replace(paused(Direction.GROW), override=view.orders.override))
        assert run_guards(2, both, GUARDS)[0] == 2
