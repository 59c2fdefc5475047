"""One of two controllers leads; whatever becomes of it, the other one takes over, and memory is never exceeded."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.benchmarks import handover
from tests.testbed.postgres_server import Postgres, postgres
from tests.testbed.processes import wait_until
from tests.testbed.two_controllers import DEADLINE_S, GUESTS_MIB, Pair, two_controllers

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture
def pair(server: Postgres) -> Iterator[Pair]:
    with two_controllers(server) as both:
        yield both


def second_serves(pair: Pair) -> None:
    """The second one leads, and does what is wanted; the sum held all the time."""
    pair.second.wait_until_leads()
    pair.serve(3)
    pair.serve(1)
    assert pair.most_mib <= GUESTS_MIB


def transfers(pair: Pair) -> tuple[float, float]:
    """How many transfers either one has ended."""
    counts = [each.metrics().get("autoscaler_transfers_total", 0.0) for each in (pair.first, pair.second)]
    return counts[0], counts[1]


def test_the_leader_is_killed(pair: Pair) -> None:
    with pair.busy():
        pair.first.process.kill9()
        pair.second.wait_until_leads()
    second_serves(pair)


def test_the_leader_ends_and_the_other_one_takes_over_at_once(pair: Pair) -> None:
    with pair.busy():
        assert pair.first.process.terminate() == 0
        pair.second.wait_until_leads()
    second_serves(pair)


def test_the_leader_is_stopped_and_when_it_goes_on_it_writes_nothing(pair: Pair) -> None:
    with pair.busy():
        pair.first.process.pause()
        pair.second.wait_until_leads()
        pair.first.process.resume()
        pair.first.wait_until_stands_by()
        before = transfers(pair)
        wait_until(lambda: transfers(pair)[1] > before[1] + 2, DEADLINE_S, "the second one to move memory")
        assert transfers(pair)[0] <= before[0] + 1  # the one that was under way ends
    second_serves(pair)


def test_the_leader_is_cut_off_and_stands_by_when_it_is_back(pair: Pair) -> None:
    with pair.busy():
        pair.proxy.cut()
        pair.second.wait_until_leads()
        pair.first.wait_until_stands_by()
        pair.proxy.mend()
    second_serves(pair)
    assert pair.first.stands_by
    pair.second.process.kill9()
    pair.first.wait_until_leads()
    pair.serve(3)


def test_the_database_is_restarted_and_one_of_them_leads(pair: Pair) -> None:
    with pair.busy():
        pair.postgres.restart()
        wait_until(lambda: pair.first.leads or pair.second.leads, DEADLINE_S, "one to lead")
    pair.serve(3)
    pair.serve(1)
    assert (pair.first.leads, pair.second.leads) in {(True, False), (False, True)}
    assert pair.most_mib <= GUESTS_MIB


def test_the_benchmark_measures_a_hand_over(server: Postgres) -> None:
    measured = handover.measure(server, "kill -9")
    assert measured["seconds"] > 0
    assert measured["most_mib"] <= measured["allowed_mib"]


def test_status_says_who_leads(pair: Pair) -> None:
    assert f"leader is {os.uname().nodename} (process {pair.first.process.pid})" in pair.second.status()
    pair.second.process.kill9()
    os.killpg(pair.first.process.pid, signal.SIGKILL)
    wait_until(lambda: "nobody leads" in pair.second.status(), DEADLINE_S, "the server to end the session")
