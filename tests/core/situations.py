"""Generated hosts, views and situations: legal and illegal ones, because the guards see both.

Only what a rule may look at is drawn, the rest is fixed: each draw costs time in every one of some thousand examples.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from autoscaler.core.calendar import Freeze
from autoscaler.core.guards import HostView, unknown_reason
from autoscaler.core.orders import HostOrders
from autoscaler.model import (
    Allocation,
    Direction,
    DomainObservation,
    GuardLimits,
    Host,
    HostObservation,
    HostState,
    HostTimers,
    Override,
    Pause,
    ProofDomain,
    Sample,
    Series,
    Window,
    WnDomain,
)
from autoscaler.testing import NOW

# A slow machine is no finding.
unhurried = settings(deadline=None, max_examples=200)

SIGNALS = ("one", "two")

memory = st.integers(0, 20_000)
unmanaged = st.sampled_from([0, 0, 500, 2000, 30_000])
perhaps_memory = st.none() | memory
ages_s = st.sampled_from([None, -86_400, -6, -5, 0, 10, 89, 90, 91, 300, 86_400])
wanted_workers = st.integers(-5, 40)


def _host(total: int, dormant: int, per_worker: int, workers: tuple[int, int], wn: tuple[int, int, bool]) -> Host:
    floor, margin, may_swap = wn
    return Host(
        name="host-1",
        uri="test:///default",
        memory_total_mib=total + 573,
        memory_reserve_mib=573,
        proof=ProofDomain("proof", Allocation(dormant, 32, 1.0), per_worker, min(workers), max(*workers, 1), 256),
        wns=(WnDomain("wn", floor, floor + 6000, margin, floor if may_swap else None, 256, 32),),
    )


# Any host, also one that a configuration would refuse because its workers do not fit.
hosts = st.builds(
    _host,
    st.integers(500, 20_000),
    st.integers(0, 2000),
    st.integers(1, 2000),
    st.tuples(st.integers(0, 16), st.integers(0, 16)),
    st.tuples(st.integers(0, 3000), st.integers(0, 1000), st.booleans()),
)


def _at(age_s: int | None) -> datetime | None:
    return None if age_s is None else NOW - timedelta(seconds=age_s)


def _window(values: tuple[float | None, float | None], ages: tuple[int | None, int | None], missing: int) -> Window:
    series = [
        Series(name, (Sample(NOW, value),), _at(age_s))
        for name, value, age_s in zip(SIGNALS, values, ages, strict=True)
    ]
    return Window(NOW, tuple(series[missing:]))


# Signals that are fresh, stale, from the future, unknown, without a time, or not there.
windows = st.builds(
    _window,
    st.tuples(*[st.sampled_from([0.0, 3.0, None])] * 2),
    st.tuples(*[ages_s] * 2),
    st.sampled_from([0, 0, 0, 1]),
)

# Those that a demand may rest on.
signals = st.sampled_from([(), SIGNALS, SIGNALS[:1]])


def _view(
    host: Host,
    sizes: tuple[int, int | None, int],
    current: int,
    clock: tuple[int | None, int | None, int, int],
    rest: tuple[Window, tuple[str, ...], int, HostOrders, Freeze, int | None],
) -> HostView:
    window, of_demand, dead_band_workers, orders, freeze, walks_to = rest
    proof_max_mib, wn_used_mib, unmanaged_mib = sizes
    grew_s, shrank_s, grow_cooldown_s, shrink_cooldown_s = clock
    domains = (
        DomainObservation("proof", Allocation(572, 32), proof_max_mib, 8, 0.0),
        DomainObservation("wn", Allocation(6911, 256), 6911, 8, 0.0, wn_used_mib),
    )
    limits = GuardLimits(
        dead_band_workers=dead_band_workers,
        grow_cooldown=timedelta(seconds=grow_cooldown_s),
        shrink_cooldown=timedelta(seconds=shrink_cooldown_s),
    )
    return HostView(
        host=host,
        observed=HostObservation(host.name, HostState.READY, domains, unmanaged_mib),
        current=current,
        timers=HostTimers(host.name, _at(grew_s), _at(shrank_s)),
        now=window.now,
        unknown=unknown_reason(window, of_demand, limits),
        limits=limits,
        orders=orders,
        freeze=freeze,
        walks_to=walks_to,
    )


def a_pause(direction: Direction, host: str = "host-1", **changes: Any) -> Pause:
    """One that goes on for an hour."""
    since, until = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    return replace(Pause(host, direction, since, until, "anna", "kernel update"), **changes)


def an_override(workers: int, host: str = "host-1", **changes: Any) -> Override:
    """One that goes on for an hour."""
    since, until = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    return replace(Override(host, workers, since, until, "anna", "tutorial"), **changes)


# Nothing, pauses in one direction or both, an override of any size, all together.
host_orders = st.builds(
    HostOrders,
    st.sampled_from([None, None, a_pause(Direction.GROW)]),
    st.sampled_from([None, None, a_pause(Direction.SHRINK)]),
    st.none() | st.builds(an_override, st.integers(0, 40)),
)


freezes = st.builds(Freeze, *[st.sampled_from([None, None, "Mon-Fri"])] * 2)

# Anything a guard may be shown; ``current`` may lie outside of every bound, timers and ages in the future.
views = st.builds(
    _view,
    hosts,
    st.tuples(memory, perhaps_memory, unmanaged),
    st.integers(0, 20),
    st.tuples(ages_s, ages_s, st.sampled_from([0, 60, 300]), st.sampled_from([0, 60, 300])),
    st.tuples(windows, signals, st.integers(1, 4), host_orders, freezes, st.sampled_from([None, None, 0, 3, 30])),
)


def without_dead_band(view: HostView) -> HostView:
    """The same view where no change is too small."""
    return replace(view, limits=replace(view.limits, dead_band_workers=1))


def _domain(name: str, sizes: tuple[int, int | None, int | None], cpu: tuple[int, float | None]) -> DomainObservation:
    size, used, asked = sizes
    return DomainObservation(name, Allocation(size, *cpu), 20_000, 8, 0.0, used, asked)


_sizes = st.tuples(memory, perhaps_memory, perhaps_memory)
_cpus = st.tuples(st.sampled_from([32, 256]), st.sampled_from([None, 1.0, 4.0, 8.0]))

# Any ready host: domains of any size, silent about their use, with a growth or shrinking under way, overfull.
observations = st.builds(
    lambda proof, wn, unmanaged_mib: HostObservation("host-1", HostState.READY, (proof, wn), unmanaged_mib),
    st.builds(_domain, st.just("proof"), _sizes, _cpus),
    st.builds(_domain, st.just("wn"), _sizes, _cpus),
    unmanaged,
)
