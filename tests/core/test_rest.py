"""Leaving out what is known to need nothing changes no decision."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.decide import Rules, decide
from autoscaler.core.rest import Rest
from autoscaler.model import Facility, GuardLimits, HostObservation, HostState, HostTimers, Situation
from autoscaler.testing import A_SWAPPING_WN, A_WN, NOW, a_host, observed, proof_window
from policies.static import Static
from tests.core.situations import observations, unhurried

HOSTS = tuple(
    replace(a_host(wns=(wn,)), name=name)
    for name, wn in (("host-1", A_WN), ("host-2", A_SWAPPING_WN), ("host-3", A_WN))
)
FACILITY = Facility(HOSTS)

_settled = st.builds(
    lambda number, workers, used_mib: observed(HOSTS[number], workers=workers, wn_used_mib=used_mib),
    st.integers(0, 2),
    st.integers(0, 8),
    st.sampled_from([0, 500, 5000, None]),
)
_disturbed = st.builds(
    lambda seen, change: replace(seen, **change),
    _settled,
    st.sampled_from(
        [
            {},
            {"unmanaged_mib": 700},
            {"cores": 2},
            {"memory_total_mib": 4000},
            {"control_mib": 900},
            {"state": HostState.LATE},
            {"state": HostState.MOVING, "moving_to_workers": 3},
        ]
    ),
)
_anything = st.builds(
    lambda seen, host: replace(
        seen,
        host=host.name,
        domains=tuple(replace(domain, name=name) for domain, name in zip(seen.domains, host.domain_names, strict=True)),
    ),
    observations,
    st.sampled_from(HOSTS),
)
_moments = st.lists(
    st.tuples(
        st.lists(_settled | _disturbed | _anything, min_size=1, max_size=3, unique_by=lambda seen: seen.host),
        st.integers(0, 24),
        st.booleans(),
        st.sampled_from([None, 10, 1000]),
    ),
    min_size=2,
    max_size=6,
)


def _situation(seen: list[HostObservation], known: bool, ago_s: int | None) -> Situation:
    window = proof_window([1.0 if known else None] * 7, [0.0] * 7)
    at = None if ago_s is None else NOW - timedelta(seconds=ago_s)
    return Situation(window, tuple(seen), tuple(HostTimers(each.host, at, None, at) for each in seen))


@settings(unhurried, max_examples=300)
@given(_moments, st.sampled_from([1, 3]))
def test_with_rest_every_decision_of_a_row_is_as_without(moments: list, dead_band_workers: int) -> None:
    limits, rest = GuardLimits(dead_band_workers=dead_band_workers), Rest()
    for seen, workers, known, ago_s in moments:
        situation, rules = _situation(seen, known, ago_s), Rules(Static(workers), limits)
        assert decide(situation, FACILITY, rules, rest) == decide(situation, FACILITY, rules)


def test_a_host_that_stayed_as_it_is_is_known_to_rest() -> None:
    rest, seen = Rest(), observed(HOSTS[0], workers=2)
    assert not rest.needs_nothing(seen, 2)
    decide(_situation([seen], known=True, ago_s=None), FACILITY, Rules(Static(2), GuardLimits()), rest)
    assert rest.needs_nothing(seen, 2)
    assert not rest.needs_nothing(seen, 3)


def test_what_the_worker_node_uses_does_not_end_the_rest_but_its_size_does() -> None:
    rest, seen = Rest(), observed(HOSTS[0], workers=2)
    decide(_situation([seen], known=True, ago_s=None), FACILITY, Rules(Static(2), GuardLimits()), rest)
    assert rest.needs_nothing(observed(HOSTS[0], workers=2, wn_used_mib=900), 2)
    assert not rest.needs_nothing(observed(HOSTS[0], workers=2, unmanaged_mib=64), 2)


def test_a_worker_node_beyond_its_maximum_is_looked_at_until_its_jobs_let_it_shrink() -> None:
    host, rest = a_host(wns=(replace(A_WN, memory_max_mib=4000),)), Rest()
    rules, facility = Rules(Static(0), GuardLimits()), Facility((host,))
    for used_mib in (4900, 500):
        seen = observed(host, workers=0, wn_used_mib=used_mib)
        proof, wn = seen.domains
        seen = replace(seen, domains=(proof, replace(wn, allocation=wn.allocation.resized(5000))))
        situation = _situation([seen], known=True, ago_s=None)
        assert decide(situation, facility, rules, rest) == decide(situation, facility, rules)
