"""All hosts, each in its lane: what hangs or fails is one host's matter."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from autoscaler.contracts import HypervisorError
from autoscaler.model import HostState, Transfer
from autoscaler.service.hosts import Hosts
from autoscaler.testing import FakeHost, observed
from tests.service.plant import hosts_named
from tests.service.waiting import Gate, wait_until

FACILITY = hosts_named("host-1", "host-2", "host-3")

# So long a healthy host may take on a busy machine, and so long a hung one is waited for: tests of hung hosts take it.
TIMEOUT = timedelta(seconds=0.5)
PATIENT = timedelta(seconds=30)


def fakes() -> dict[str, FakeHost]:
    return {host.name: FakeHost.of(observed(host)) for host in FACILITY.hosts}


def hanging(gate: Gate) -> Callable[[str], None]:
    return lambda _call: gate.pass_through()


def failing(error: Exception) -> Callable[[str], None]:
    def fail(_call: str) -> None:
        raise error

    return fail


def states(hosts: Hosts) -> dict[str, HostState]:
    return {seen.host: seen.state for seen in hosts.observe({})}


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open when the test ends, so that no thread is left behind it."""
    gate = Gate()
    yield gate
    gate.open()


def test_every_host_is_read() -> None:
    fake = fakes()
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    assert states(hosts) == dict.fromkeys(("host-1", "host-2", "host-3"), HostState.READY)
    hosts.end()


def test_the_ledger_is_part_of_what_is_observed() -> None:
    fake = fakes()
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    seen = hosts.observe({("host-2", "proof"): 5000})
    asked = {(one.host, domain.name): domain.asked_mib for one in seen for domain in one.domains}
    assert {key: mib for key, mib in asked.items() if mib} == {("host-2", "proof"): 5000}
    hosts.end()


def test_memory_of_domains_that_are_not_ours_is_observed() -> None:
    fake = fakes()
    fake["host-2"].unmanaged_mib = 700
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    assert [seen.unmanaged_mib for seen in hosts.observe({})] == [0, 700, 0]
    hosts.end()


class TestAHostThatHangs:
    """libvirt's calls have no time-out of their own."""

    def test_does_not_answer_in_time_while_the_others_are_read(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        assert states(hosts) == {
            "host-1": HostState.READY,
            "host-2": HostState.UNUSABLE,
            "host-3": HostState.READY,
        }
        hosts.end()

    def test_is_reported_with_its_name_and_address(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        assert hosts.observe({})[1].problem == "host-2 (test:///default) does not answer in time"
        hosts.end()

    def test_is_not_asked_again_while_it_hangs(self, gate: Gate) -> None:
        fake, asked = fakes(), []

        def hang(call: str) -> None:
            asked.append(call)
            gate.pass_through()

        fake["host-2"].before_call = hang
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        for _ in range(3):
            hosts.observe({})
        assert asked == ["read"]
        hosts.end()

    def test_costs_its_time_out_only_once(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe({})
        hosts._timeout_s = 10_000.0  # were it waited for again, this test would not end
        assert states(hosts)["host-2"] is HostState.UNUSABLE
        hosts.end()

    def test_comes_back_when_its_call_returns(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe({})
        gate.open()
        wait_until(lambda: states(hosts)["host-2"] is HostState.READY, "the host to come back")
        hosts.end()

    def test_does_not_keep_transfers_from_being_settled(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe({})
        assert hosts.settle(timeout_s=0)
        hosts.end()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (HypervisorError("host-2: connection refused"), "host-2: connection refused"),
        (ValueError("surprise"), "host-2: ValueError: surprise"),
    ],
)
def test_a_host_that_fails_says_why_and_the_others_are_read(error: Exception, problem: str) -> None:
    fake = fakes()
    fake["host-2"].before_call = failing(error)
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    seen = hosts.observe({})
    assert [one.state for one in seen] == [HostState.READY, HostState.UNUSABLE, HostState.READY]
    assert seen[1].problem == problem
    hosts.end()


def test_a_host_that_failed_is_read_again_by_the_next_cycle() -> None:
    fake = fakes()
    fake["host-2"].before_call = failing(HypervisorError("host-2: connection refused"))
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    hosts.observe({})
    fake["host-2"].before_call = lambda _call: None
    assert states(hosts)["host-2"] is HostState.READY
    hosts.end()


class TestATransfer:
    """A host that is being resized is not read and not decided about."""

    def test_makes_its_host_moving_to_the_transfers_workers(self, gate: Gate) -> None:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.lane("host-2").begin_transfer(Transfer("host-2", 0, 5, 7483, ()), gate.pass_through)
        seen = hosts.observe({})[1]
        assert (seen.state, seen.moving_to_workers) == (HostState.MOVING, 5)
        hosts.end()

    def test_whose_call_hangs_makes_its_host_unusable_and_not_moving_for_ever(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        lane = hosts.lane("host-2")
        lane.begin_transfer(Transfer("host-2", 0, 5, 7483, ()), lambda: lane.hypervisor.set_memory("wn", 1000))
        wait_until(lambda: states(hosts)["host-2"] is HostState.UNUSABLE, "the hung transfer to be noticed")
        assert "does not answer in time" in (hosts.observe({})[1].problem or "")
        gate.open()
        wait_until(lambda: states(hosts)["host-2"] is HostState.READY, "the host to come back")
        hosts.end()

    def test_leaves_the_other_hosts_readable(self, gate: Gate) -> None:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.lane("host-2").begin_transfer(Transfer("host-2", 0, 5, 7483, ()), gate.pass_through)
        assert [seen.state for seen in hosts.observe({})][::2] == [HostState.READY, HostState.READY]
        hosts.end()

    def test_is_over_when_it_is_over(self, gate: Gate) -> None:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.lane("host-2").begin_transfer(Transfer("host-2", 0, 5, 7483, ()), gate.pass_through)
        assert not hosts.settle(timeout_s=0)
        gate.open()
        assert hosts.settle(timeout_s=30)
        assert states(hosts)["host-2"] is HostState.READY
        hosts.end()


def test_ending_closes_every_connection() -> None:
    closed = []

    class Closing(FakeHost):
        def close(self) -> None:
            closed.append(self)

    opened = [Closing.of(observed(host)) for host in FACILITY.hosts]
    remaining = iter(opened)
    hosts = Hosts(FACILITY, lambda _host: next(remaining), PATIENT)
    hosts.end()
    wait_until(lambda: len(closed) == 3, "three closed connections")
