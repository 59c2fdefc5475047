"""Decisions, outcomes and orders for the tests of the store, by hand and by hypothesis."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from autoscaler.model import (
    Allocation,
    Cut,
    Decision,
    Demand,
    Direction,
    DomainObservation,
    HostDecision,
    HostObservation,
    HostState,
    HostTimers,
    Orders,
    Outcome,
    Override,
    Pause,
    Result,
    Sample,
    Series,
    Situation,
    Step,
    StepKind,
    Transfer,
    Window,
)
from autoscaler.testing import NOW, a_host, observed, proof_window

HOUR = timedelta(hours=1)

unhurried = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def a_transfer(host: str = "host-1", workers_from: int = 0, workers_to: int = 3) -> Transfer:
    step = Step(StepKind.SHRINK, "wn", Allocation(6911, 256), Allocation(4535, 256))
    return Transfer(host, workers_from, workers_to, 7483, (step,))


def a_decision(at: datetime = NOW, *, changes: bool = False, reason: str = "so") -> Decision:
    """A decision about one host, with or without a transfer."""
    return about(a_transfer() if changes else None, at=at, reason=reason)


def about(*transfers: Transfer | None, at: datetime = NOW, reason: str = "so") -> Decision:
    """A decision with these transfers."""
    hosts = tuple(HostDecision(each.host if each else "host-1", 0, 3, 3, reason, transfer=each) for each in transfers)
    situation = Situation(proof_window([1], [0], now=at), (observed(a_host()),))
    return Decision(at, "Static(workers=3)", situation, Demand(3, reason), hosts)


def an_outcome(host: str = "host-1", **changes: Any) -> Outcome:
    outcome = Outcome(
        host, Result.DONE, "reached and read back", NOW, NOW + timedelta(seconds=9), observed(a_host()).domains
    )
    return replace(outcome, **changes)


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


# PostgreSQL has no text with NUL, and nothing is called so.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


numbers = st.integers(-(10**12), 10**12)


finite = st.floats(allow_nan=False, allow_infinity=False)


allocations = st.builds(Allocation, numbers, numbers, st.none() | finite)


domains = st.builds(
    DomainObservation, words, allocations, numbers, numbers, finite, st.none() | numbers, st.none() | numbers
)


some_domains = st.lists(domains, max_size=2).map(tuple)


windows = st.builds(
    Window,
    times,
    st.lists(
        st.builds(
            Series,
            words,
            st.lists(st.builds(Sample, times, st.none() | finite), max_size=2).map(tuple),
            st.none() | times,
            st.none() | words,
        ),
        max_size=2,
    ).map(tuple),
)


observations = st.builds(
    HostObservation, words, st.sampled_from(HostState), some_domains, numbers, st.none() | words, st.none() | numbers
)


steps = st.builds(Step, st.sampled_from(StepKind), words, allocations, allocations)


transfers = st.builds(Transfer, words, numbers, numbers, numbers, st.lists(steps, max_size=2).map(tuple))


cuts = st.builds(Cut, words, numbers, numbers, words)


host_decisions = st.builds(
    HostDecision,
    words,
    st.none() | numbers,
    st.none() | numbers,
    st.none() | numbers,
    words,
    st.lists(cuts, max_size=2).map(tuple),
    st.none() | transfers,
)


timers = st.builds(HostTimers, words, st.none() | times, st.none() | times)


pauses = st.builds(Pause, words, st.sampled_from(Direction), times, times, words, words)


overrides = st.builds(Override, words, numbers, times, times, words, words)


orders = st.builds(Orders, st.lists(pauses, max_size=2).map(tuple), st.lists(overrides, max_size=2).map(tuple))


situations = st.builds(
    Situation,
    windows,
    st.lists(observations, max_size=2).map(tuple),
    st.lists(timers, max_size=2).map(tuple),
    orders=orders,
)


decisions = st.builds(
    Decision,
    times,
    words,
    situations,
    st.builds(Demand, st.none() | numbers, words),
    st.lists(host_decisions, max_size=2).map(tuple),
    numbers,
    st.none() | words,
)


outcomes = st.builds(Outcome, words, st.sampled_from(Result), words, times, times, some_domains)


def a_pause(host: str = "host-1", direction: Direction = Direction.GROW, **changes: Any) -> Pause:
    return replace(Pause(host, direction, NOW, NOW + HOUR, "anna", "kernel update"), **changes)


def an_override(host: str = "host-1", workers: int = 4, **changes: Any) -> Override:
    return replace(Override(host, workers, NOW, NOW + HOUR, "anna", "tutorial"), **changes)
