"""The peers do what their own rules say, in numbers; they are asked once a minute unless a test says otherwise."""

import pickle
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cobald.controller.linear import LinearController
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.contracts import Policy
from autoscaler.model import Allocation, Facility, ProofDomain
from autoscaler.testing import NOW, proof_window
from tests.benchmarks.peers import GRIDS, PEERS, Site
from tests.benchmarks.peers.cobald_linear import CobaldLinear
from tests.benchmarks.peers.elastiq import Elastiq
from tests.benchmarks.peers.mom import Mom
from tests.benchmarks.peers.vpa import DecayingHistogram, Vpa

PROOF = ProofDomain("proof", Allocation(572, 32, 1.0), 792, 0, 8, 256)
HOST = Site((PROOF,))
SITE = Site((PROOF,) * 4)
MINUTE = timedelta(minutes=1)
SETTINGS = [(name, setting) for name, grid in GRIDS.items() for setting in grid]


def asked(
    peer: Policy, sessions: Sequence[float | None], *, begin: datetime = NOW, step: timedelta = MINUTE
) -> list[int | None]:
    """What a peer wants at each of these numbers of running sessions, one ``step`` apart."""
    past = int(peer.history / MINUTE)
    wanted = []
    for cycle, running in enumerate(sessions):
        window = proof_window([0.0] * (past + 1), [running] * (past + 1), now=begin + cycle * step)
        wanted.append(peer.decide(window).workers)
    return wanted


class TestTheTable:
    """Every peer, by its name."""

    def test_has_a_grid_for_each_peer(self) -> None:
        assert PEERS.keys() == GRIDS.keys()

    @pytest.mark.parametrize("name", PEERS)
    def test_tries_few_settings(self, name: str) -> None:
        assert 4 <= len(GRIDS[name]) <= 9

    @pytest.mark.parametrize(("name", "setting"), SETTINGS)
    def test_has_settings_that_the_peer_takes(self, name: str, setting: dict[str, Any]) -> None:
        assert asked(PEERS[name](SITE, **setting), [1.0] * 3)[-1] is not None

    @pytest.mark.parametrize("name", PEERS)
    def test_has_the_peers_own_defaults_among_the_settings(self, name: str) -> None:
        load = [0, 1, 3, 3, 1, 0, 0, 2, 0, 0] * 8
        by_default = asked(PEERS[name](SITE), load)
        assert by_default in [asked(PEERS[name](SITE, **setting), load) for setting in GRIDS[name]]

    @pytest.mark.parametrize("name", PEERS)
    def test_makes_peers_that_remember_nothing_of_each_other(self, name: str) -> None:
        first = asked(PEERS[name](SITE), [0, 3, 3, 0])
        assert asked(PEERS[name](SITE), [0, 3, 3, 0]) == first

    @pytest.mark.parametrize("name", [name for name in PEERS if name != "static"])
    def test_has_peers_that_hold_on_what_is_unknown(self, name: str) -> None:
        assert asked(PEERS[name](SITE), [1.0, None, 1.0])[1] is None

    @pytest.mark.parametrize("name", PEERS)
    @settings(deadline=None, max_examples=25)
    @given(sessions=st.lists(st.none() | st.integers(0, 50).map(float), max_size=30))
    def test_has_peers_that_always_want_a_number_of_workers_or_hold(
        self, name: str, sessions: list[float | None]
    ) -> None:
        for workers in asked(PEERS[name](SITE), sessions):
            assert workers is None or (type(workers) is int and workers >= 0)

    @pytest.mark.parametrize("name", PEERS)
    def test_has_peers_whose_name_in_a_decision_is_short(self, name: str) -> None:
        """It is their configuration, not what they remember."""
        peer = PEERS[name](HOST)
        before = repr(peer)
        asked(peer, [0, 3, 3, 0])
        assert repr(peer) == before

    @pytest.mark.parametrize("name", PEERS)
    def test_has_peers_that_other_processes_can_be_given(self, name: str) -> None:
        load = [0, 1, 3, 3, 1, 0, 0, 2, 0, 0]
        peer = PEERS[name](SITE)
        there = pickle.loads(pickle.dumps(peer))
        assert repr(there) == repr(peer)
        assert asked(there, load) == asked(peer, load)

    def test_gives_the_dedicated_cluster_all_that_the_site_has(self) -> None:
        assert asked(PEERS["static"](SITE), [0, 5]) == [32, 32]

    def test_is_told_the_site_by_its_facility(self) -> None:
        assert Site.of(Facility(())) == Site(())


class TestCobaldLinear:
    """cobald's own controller."""

    def test_is_the_real_one(self) -> None:
        assert isinstance(CobaldLinear(SITE)._controller, LinearController)

    def test_grows_by_its_rate_until_half_of_the_workers_are_used(self) -> None:
        """From 0 it is 1 worker a second, and 8 are half of 16."""
        assert asked(CobaldLinear(SITE), [1] * 6, step=timedelta(seconds=4)) == [1, 5, 9, 13, 16, 16]

    def test_shrinks_by_its_rate(self) -> None:
        wanted = asked(CobaldLinear(SITE), [*[1] * 6, *[0] * 5], step=timedelta(seconds=4))
        assert wanted[5:] == [16, 12, 8, 4, 0, 0]

    def test_stays_between_nothing_and_what_the_site_has(self) -> None:
        assert asked(CobaldLinear(SITE), [9, 9, 0, 0]) == [1, 32, 0, 0]

    def test_steps_that_go_up_and_down_are_all_made(self) -> None:
        """8 workers are more than 90 % of 5 and less than 85 % of 10; three steps end on the other one each time."""
        swinging = CobaldLinear(SITE, 0.85, 0.9, rate=5)
        assert asked(swinging, [1] * 4, step=timedelta(seconds=3)) == [5, 10, 5, 10]


class TestMom:
    """oVirt MoM's rules."""

    def test_wants_nothing_for_nobody(self) -> None:
        """20 % of a dormant domain is no worker."""
        assert asked(Mom(SITE), [0, 0, 0]) == [0, 0, 0]

    def test_grows_by_a_fifth_at_most_while_all_is_used(self) -> None:
        """572 MiB used and 20 % free: 686, then by the average 572 + 57 used, 766 MiB: less than a worker more."""
        peer = Mom(HOST)
        assert asked(peer, [1, 1], step=timedelta(seconds=10)) == [0, 0]
        assert peer._size_mib[0] == pytest.approx((572 + 686.4) / 2 + 0.2 * 686.4)

    def test_needs_minutes_for_a_session(self) -> None:
        wanted = asked(Mom(HOST), [1] * 12, step=timedelta(seconds=30))
        assert wanted[-1] == 8
        assert wanted.index(8) * 30 > 120

    def test_shrinks_by_one_twentieth_in_each_pass(self) -> None:
        """In the first pass the average of the last 50 s still says that all is used."""
        peer = Mom(HOST)
        asked(peer, [1] * 12)
        asked(peer, [0, 0, 0], begin=NOW + timedelta(minutes=11, seconds=10), step=timedelta(seconds=10))
        assert peer._size_mib[0] == pytest.approx((572 + 8 * 792) * 0.95**2)

    def test_leaves_a_guest_a_fifth_of_its_size_free(self) -> None:
        """Half of a session is 4 workers, 3740 MiB; 3740 / 0.8 = 4675 MiB hold 5."""
        assert asked(Mom(HOST), [0.5] * 12)[-1] == 5

    def test_spreads_sessions_over_the_guests(self) -> None:
        """Two workers on each of four guests: (572 + 2 * 792) / 0.8 = 2695 MiB hold 2."""
        assert asked(Mom(SITE), [1] * 12)[-1] == 8

    def test_gives_no_guest_more_than_it_can_have(self) -> None:
        assert asked(Mom(SITE), [20] * 12)[-1] == 32


class TestElastiq:
    """elastiq's rule."""

    def test_starts_vms_after_jobs_have_waited_for_their_time(self) -> None:
        """Seen first at 0 s, 40 s is not yet more than 40 s; eight jobs are two VMs of four."""
        assert asked(Elastiq(SITE), [1] * 4, step=timedelta(seconds=20)) == [0, 0, 0, 8]

    def test_jobs_that_do_not_wait_for_so_long_start_nothing(self) -> None:
        assert asked(Elastiq(SITE), [1, 1, 0, 1, 1, 0], step=timedelta(seconds=20)) == [0] * 6

    def test_a_threshold_is_to_be_exceeded(self) -> None:
        assert asked(Elastiq(SITE, waiting_jobs_threshold=8), [1, 1, 1]) == [0, 0, 0]
        assert asked(Elastiq(SITE, waiting_jobs_threshold=7), [1, 1, 1]) == [0, 8, 8]

    def test_starts_no_more_than_the_quota(self) -> None:
        assert asked(Elastiq(SITE), [9, 9, 9, 9]) == [0, 32, 32, 32]

    def test_stops_what_was_idle_for_longer_than_its_time(self) -> None:
        """Busy until the second minute."""
        assert asked(Elastiq(SITE, idle_for_time_s=120), [1, 1, 1, 0, 0, 0]) == [0, 8, 8, 8, 8, 0]

    def test_stops_only_the_vms_that_jobs_leave_idle(self) -> None:
        wanted = asked(Elastiq(SITE, idle_for_time_s=120), [2, 2, 2, 0.5, 0.5, 0.5])
        assert wanted == [0, 16, 16, 16, 16, 4]

    def test_what_is_idle_takes_jobs_at_once(self) -> None:
        assert asked(Elastiq(SITE), [1, 1, 0, 1, 1, 1]) == [0, 8, 8, 8, 8, 8]


class TestVpa:
    """Kubernetes' VPA."""

    def test_requests_what_is_always_used_and_a_margin(self) -> None:
        """8 lies in a bucket that ends at most 5 % above it: 8.4 * 1.15 = 9.66."""
        assert asked(Vpa(SITE), [1] * 3) == [10, 10, 10]

    def test_requests_nothing_when_nothing_is_used(self) -> None:
        assert asked(Vpa(SITE), [0] * 3) == [0, 0, 0]

    def test_a_short_history_is_no_reason_to_change(self) -> None:
        """After 30 minutes the upper bound is the 95th percentile times 1 + 48."""
        assert asked(Vpa(SITE), [1, *[0.5] * 30])[-1] == 10

    def test_follows_what_was_used_for_long(self) -> None:
        """After 13 hours of 4 workers the request of 8 is old enough to be replaced by 4 * 1.05 * 1.15."""
        assert asked(Vpa(SITE), [1, *[0.5] * 13 * 60])[-1] == 5

    def test_a_request_below_the_lower_bound_is_replaced_at_once(self) -> None:
        """Half of the time at 8 workers is its median."""
        wanted = asked(Vpa(SITE), [*[0.0] * 10, *[1.0] * 11])
        assert wanted[10] == 0
        assert wanted[-1] == 10

    def test_an_hour_a_day_is_not_seen_by_the_target(self) -> None:
        """1 of 24 hours is less than a tenth."""
        assert asked(Vpa(SITE), [*[0.0] * 23 * 60, *[1.0] * 60])[-1] == 0


class TestTheDecayingHistogram:
    """The VPA's memory."""

    def test_gives_the_end_of_the_bucket(self) -> None:
        histogram = DecayingHistogram(timedelta(days=1))
        histogram.add(8, NOW)
        (value,) = histogram.percentiles(0.5)
        assert 8 < value <= 8.4

    def test_halves_a_weight_in_a_half_life(self) -> None:
        """Two samples of 1 of the day before weigh as much as one of 10 now."""
        histogram = DecayingHistogram(timedelta(days=1))
        for _ in range(2):
            histogram.add(1, NOW)
        histogram.add(10, NOW + timedelta(days=1))
        low, high = histogram.percentiles(0.49, 0.51)
        assert (round(low), round(high)) == (1, 10)

    def test_goes_on_for_years(self) -> None:
        """2 to the power of all half-lives since the beginning is no number any more."""
        histogram = DecayingHistogram(timedelta(hours=1))
        for day in range(3 * 365):
            histogram.add(1 if day < 1000 else 10, NOW + timedelta(days=day))
        (value,) = histogram.percentiles(0.5)
        assert 10 < value <= 10.5

    def test_takes_what_is_beyond_its_last_bucket(self) -> None:
        histogram = DecayingHistogram(timedelta(hours=1))
        histogram.add(1e9, NOW)
        assert histogram.percentiles(0.9) == [1000]
