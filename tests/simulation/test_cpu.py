"""Dividing cores by weight and cap."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoscaler.simulation.cpu import Claim, share_cores

amounts = st.floats(0, 64, allow_nan=False).map(lambda cores: round(cores, 3))
claims = st.dictionaries(
    st.sampled_from(["proof", "wn", "monitor", "squid"]), st.builds(Claim, amounts, st.integers(1, 2500)), min_size=1
)
hosts = st.integers(1, 64).map(float)


def test_two_busy_domains_share_by_their_weights() -> None:
    shares = share_cores(8, {"proof": Claim(8, 256), "wn": Claim(8, 32)})
    assert shares == pytest.approx({"proof": 8 * 256 / 288, "wn": 8 * 32 / 288})


def test_what_one_cannot_use_goes_to_the_other() -> None:
    assert share_cores(8, {"proof": Claim(1, 256), "wn": Claim(8, 32)}) == {"proof": 1, "wn": 7}


def test_a_domain_that_wants_nothing_gets_nothing() -> None:
    assert share_cores(8, {"proof": Claim(0, 256), "wn": Claim(8, 32)}) == {"proof": 0, "wn": 8}


def test_nobody_gets_anything_where_nobody_wants_anything() -> None:
    assert share_cores(8, {"proof": Claim(0, 256), "wn": Claim(0, 32)}) == {"proof": 0, "wn": 0}


@given(cores=hosts, claims=claims)
def test_the_shares_are_all_cores_or_all_that_is_wanted(cores: float, claims: dict[str, Claim]) -> None:
    wanted = sum(claim.cores for claim in claims.values())
    assert sum(share_cores(cores, claims).values()) == pytest.approx(min(cores, wanted))


@given(cores=hosts, claims=claims)
def test_nobody_gets_more_than_it_can_use(cores: float, claims: dict[str, Claim]) -> None:
    for name, share in share_cores(cores, claims).items():
        assert -1e-9 <= share <= claims[name].cores + 1e-9


@given(cores=hosts, claims=claims)
def test_everybody_who_asks_is_named(cores: float, claims: dict[str, Claim]) -> None:
    assert share_cores(cores, claims).keys() == claims.keys()


@given(cores=hosts, claims=claims, more=st.integers(1, 2500))
def test_a_higher_weight_never_gives_less(cores: float, claims: dict[str, Claim], more: int) -> None:
    name = min(claims)
    heavier = claims | {name: Claim(claims[name].cores, claims[name].weight + more)}
    assert share_cores(cores, heavier)[name] >= share_cores(cores, claims)[name] - 1e-9


@given(cores=hosts, claims=claims)
def test_of_two_who_go_short_the_heavier_gets_more(cores: float, claims: dict[str, Claim]) -> None:
    shares = share_cores(cores, claims)
    short = [name for name in claims if shares[name] < claims[name].cores - 1e-6]
    assume(len(short) > 1)
    per_weight = [shares[name] / claims[name].weight for name in short]
    assert per_weight == pytest.approx([per_weight[0]] * len(short))
