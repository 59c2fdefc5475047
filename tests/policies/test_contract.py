"""What every policy promises, ours and a site's: the suite runs over all that are installed."""

import dataclasses
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.config.policies import GROUP, make_policy, policy_names
from autoscaler.contracts import Policy
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Sample,
    Series,
    Window,
)
from autoscaler.testing import NOW, a_window

# Parameters without a default; a new policy that has some is added here.
PARAMETERS: dict[str, dict[str, Any]] = {"static": {"workers": 6}}
SIGNALS = [PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS, XROOTD_READ_BYTES_PER_SECOND]

unhurried = settings(deadline=None, max_examples=100)

values = st.none() | st.sampled_from([0.0, 1.0, 8.0]) | st.floats(0, 1e9)


def _series(signal: str, drawn: list[tuple[int, float | None]]) -> Series:
    samples = tuple(Sample(NOW - timedelta(seconds=ago_s), value) for ago_s, value in sorted(drawn, reverse=True))
    known = bool(samples) and samples[-1].value is not None
    return Series(signal, samples, NOW if known else None, None if known else "no value")


# Any history: short, with gaps, with samples of different times, empty, or no series at all.
readings = st.lists(st.tuples(st.integers(0, 900), values), max_size=6, unique_by=lambda reading: reading[0])
torn = st.dictionaries(st.sampled_from(SIGNALS), readings).map(
    lambda drawn: Window(NOW, tuple(_series(signal, samples) for signal, samples in drawn.items()))
)
# A reading of all signals each minute, for longer than any policy looks back: only so is the past fully known.
whole = st.lists(st.tuples(*(st.sampled_from([0.0, 1.0, 8.0]) for _ in SIGNALS)), min_size=31, max_size=31).map(
    lambda rows: a_window({name: list(values) for name, values in zip(SIGNALS, zip(*rows, strict=True), strict=True)})
)
windows = torn | whole


def shifted(window: Window, by: timedelta) -> Window:
    """The same readings, so much later."""
    series = tuple(
        dataclasses.replace(
            each,
            samples=tuple(Sample(sample.at + by, sample.value) for sample in each.samples),
            fresh_at=None if each.fresh_at is None else each.fresh_at + by,
        )
        for each in window.series
    )
    return Window(window.now + by, series)


@pytest.fixture(params=policy_names(), scope="module")
def policy(request: pytest.FixtureRequest) -> Policy:
    return make_policy(request.param, PARAMETERS.get(request.param, {}))


def test_the_built_in_policies_are_installed() -> None:
    assert {"hold", "static", "threshold"} <= set(policy_names())


def test_every_installed_policy_can_be_loaded() -> None:
    assert all(dataclasses.is_dataclass(entry.load()) for entry in entry_points(group=GROUP))


def test_a_policy_is_frozen(policy: Policy) -> None:
    """Its fields are its configuration, which does not change."""
    assert type(policy).__dataclass_params__.frozen


def test_equal_policies_are_equal_and_hash_alike(policy: Policy) -> None:
    twin = dataclasses.replace(policy)
    assert twin == policy
    assert hash(twin) == hash(policy)


def test_a_policy_names_the_signals_its_answer_rests_on(policy: Policy) -> None:
    assert isinstance(policy.signals, tuple)
    assert all(isinstance(name, str) and name for name in policy.signals)


@unhurried
@given(window=windows)
def test_a_policy_looks_at_no_other_signals(policy: Policy, window: Window) -> None:
    named = Window(window.now, tuple(series for series in window.series if series.signal in policy.signals))
    assert policy.decide(named) == policy.decide(window)


def test_a_policy_says_how_far_back_it_looks(policy: Policy) -> None:
    assert policy.history >= timedelta(0)


@unhurried
@given(window=windows, shift=st.timedeltas(timedelta(days=-7), timedelta(days=7)))
def test_a_timeless_policy_wants_the_same_of_the_same_window_at_another_time(
    policy: Policy, window: Window, shift: timedelta
) -> None:
    if getattr(policy, "timeless", False):
        assert policy.decide(shifted(window, shift)) == policy.decide(window)


def test_a_policy_says_in_its_docstring_what_it_does(policy: Policy) -> None:
    assert type(policy).__doc__


@unhurried
@given(window=windows)
def test_a_policy_answers_any_window_with_workers_or_a_hold_and_a_reason(policy: Policy, window: Window) -> None:
    demand = policy.decide(window)
    assert demand.workers is None or (type(demand.workers) is int and demand.workers >= 0)
    assert demand.reason


@unhurried
@given(window=windows)
def test_the_same_window_gives_the_same_demand(policy: Policy, window: Window) -> None:
    assert policy.decide(window) == policy.decide(window)


@pytest.mark.parametrize("samples", [0, 1, 20])
def test_a_policy_that_reads_signals_holds_while_all_of_them_are_unknown(policy: Policy, samples: int) -> None:
    unknown = a_window({name: [None] * samples for name in policy.signals})
    assert not policy.signals or policy.decide(unknown).workers is None


def test_a_policy_that_reads_signals_holds_while_none_is_there(policy: Policy) -> None:
    assert not policy.signals or policy.decide(Window(NOW)).workers is None


def test_a_policy_holds_while_any_of_its_signals_is_unknown_now(policy: Policy) -> None:
    for silent in policy.signals:
        known = {name: [3.0] * 20 for name in policy.signals}
        assert policy.decide(a_window({**known, silent: [3.0] * 19 + [None]})).workers is None
