"""All hosts, each in its lane: what hangs or fails is one host's matter."""

import threading
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
TIMEOUT = timedelta(seconds=2)
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
    return {seen.host: seen.state for seen in hosts.observe(dict)}


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
    seen = hosts.observe(lambda: {("host-2", "proof"): 5000})
    asked = {(one.host, domain.name): domain.asked_mib for one in seen for domain in one.domains}
    assert {key: mib for key, mib in asked.items() if mib} == {("host-2", "proof"): 5000}
    hosts.end()


def test_a_host_with_too_little_memory_for_its_domains_is_unusable_and_says_why() -> None:
    fake = fakes()
    fake["host-2"].memory_total_mib = 1000
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    seen = hosts.observe(dict)[1]
    assert seen.state is HostState.UNUSABLE
    assert "427 MiB are left for guests" in (seen.problem or "")
    hosts.end()


def test_memory_of_domains_that_are_not_ours_is_observed() -> None:
    fake = fakes()
    fake["host-2"].unmanaged_mib = 700
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    assert [seen.unmanaged_mib for seen in hosts.observe(dict)] == [0, 700, 0]
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
        assert hosts.observe(dict)[1].problem == "host-2 (test:///default) does not answer in time"
        hosts.end()

    def test_is_not_asked_again_while_it_hangs(self, gate: Gate) -> None:
        fake, asked = fakes(), []

        def hang(call: str) -> None:
            asked.append(call)
            gate.pass_through()

        fake["host-2"].before_call = hang
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        for _ in range(3):
            hosts.observe(dict)
        assert asked == ["read"]
        hosts.end()

    def test_costs_its_time_out_only_once(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe(dict)
        hosts.lane("host-2").timeout_s = 10_000.0  # were it waited for again, this test would not end
        assert states(hosts)["host-2"] is HostState.UNUSABLE
        hosts.end()

    def test_comes_back_when_its_call_returns(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe(dict)
        gate.open()
        wait_until(lambda: states(hosts)["host-2"] is HostState.READY, "the host to come back")
        hosts.end()

    def test_does_not_keep_transfers_from_being_settled(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        hosts.observe(dict)
        assert hosts.settle(timeout_s=0)
        hosts.end()


class TestManyHosts:
    """They take turns; here one at a time."""

    @pytest.fixture(autouse=True)
    def _one_at_a_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("autoscaler.service.hosts.READS_AT_ONCE", 1)

    def test_are_read_no_more_at_once_than_does_good(self) -> None:
        fake, alone = fakes(), []
        turn = threading.Lock()

        def read(_call: str) -> None:
            alone.append(turn.acquire(blocking=False))
            threading.Event().wait(0.01)  # long enough for another one to come
            turn.release()

        for one in fake.values():
            one.before_call = read
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.observe(dict)
        assert alone == [True] * 3
        hosts.end()

    def test_are_all_read_when_one_of_them_hangs(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-1"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        assert list(states(hosts).values()) == [HostState.UNUSABLE, HostState.READY, HostState.READY]
        hosts.end()


class TestAHostThatIsLate:
    """It answered before, and now takes much longer: it may hang, or only be slow."""

    @pytest.fixture
    def late(self, gate: Gate) -> Iterator[Hosts]:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.observe(dict)
        fake["host-2"].before_call = hanging(gate)
        yield hosts
        hosts.end()

    def test_is_not_waited_for_until_its_time_out(self, late: Hosts) -> None:
        late.lane("host-2").timeout_s = 10_000.0  # were it waited for, its gate would give up, and the read fail
        assert states(late)["host-2"] is HostState.LATE

    def test_shows_what_it_was_when_it_last_answered(self, late: Hosts) -> None:
        seen = late.observe(lambda: {("host-2", "proof"): 5000})[1]
        assert seen.domain("proof").allocation.memory_mib == 572
        assert seen.domain("proof").asked_mib == 5000

    def test_is_unusable_when_its_time_out_is_over(self, late: Hosts) -> None:
        states(late)
        late.lane("host-2").timeout_s = 0.01
        wait_until(lambda: states(late)["host-2"] is HostState.UNUSABLE, "the host to be given up")

    def test_shows_nothing_of_what_it_was_before_another_controller_led(self, late: Hosts) -> None:
        """It may have been days ago, and the workers that it had then are not those that it has."""
        late.forget()
        late.lane("host-2").timeout_s = 0.01
        seen = late.observe(dict)[1]
        assert (seen.state, seen.domains) == (HostState.UNUSABLE, ())

    def test_is_ready_in_the_cycle_after_its_answer(self, late: Hosts, gate: Gate) -> None:
        states(late)
        gate.open()
        wait_until(lambda: states(late)["host-2"] is HostState.READY, "the host to come back")

    def test_is_given_more_time_after_a_slow_answer(self, late: Hosts, gate: Gate) -> None:
        states(late)
        lane = late.lane("host-2")
        before = lane._patience_s
        gate.open()
        wait_until(lambda: lane.pending is None, "the slow answer")
        assert lane._patience_s > before


def test_a_ledger_is_read_after_the_hosts() -> None:
    """What a transfer writes just before its host is read is not missed."""
    fake, order = fakes(), []
    fake["host-2"].before_call = order.append
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)

    def ledger() -> dict[tuple[str, str], int]:
        order.append("ledger")
        return {}

    hosts.observe(ledger)
    assert order == ["read", "ledger"]
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
    seen = hosts.observe(dict)
    assert [one.state for one in seen] == [HostState.READY, HostState.UNUSABLE, HostState.READY]
    assert seen[1].problem == problem
    hosts.end()


def test_a_host_that_failed_is_read_again_by_the_next_cycle() -> None:
    fake = fakes()
    fake["host-2"].before_call = failing(HypervisorError("host-2: connection refused"))
    hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
    hosts.observe(dict)
    fake["host-2"].before_call = lambda _call: None
    assert states(hosts)["host-2"] is HostState.READY
    hosts.end()


class TestATransfer:
    """A host that is being resized is not read and not decided about."""

    def test_makes_its_host_moving_to_the_transfers_workers(self, gate: Gate) -> None:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.lane("host-2").begin_transfer(Transfer("host-2", 0, 5, 7483, ()), gate.pass_through)
        seen = hosts.observe(dict)[1]
        assert (seen.state, seen.moving_to_workers) == (HostState.MOVING, 5)
        hosts.end()

    def test_whose_call_hangs_makes_its_host_unusable_and_not_moving_for_ever(self, gate: Gate) -> None:
        fake = fakes()
        fake["host-2"].before_call = hanging(gate)
        hosts = Hosts(FACILITY, lambda host: fake[host.name], TIMEOUT)
        lane = hosts.lane("host-2")
        lane.begin_transfer(Transfer("host-2", 0, 5, 7483, ()), lambda: lane.hypervisor.set_memory("wn", 1000))
        wait_until(lambda: states(hosts)["host-2"] is HostState.UNUSABLE, "the hung transfer to be noticed")
        assert "does not answer in time" in (hosts.observe(dict)[1].problem or "")
        gate.open()
        wait_until(lambda: states(hosts)["host-2"] is HostState.READY, "the host to come back")
        hosts.end()

    def test_leaves_the_other_hosts_readable(self, gate: Gate) -> None:
        fake = fakes()
        hosts = Hosts(FACILITY, lambda host: fake[host.name], PATIENT)
        hosts.lane("host-2").begin_transfer(Transfer("host-2", 0, 5, 7483, ()), gate.pass_through)
        assert [seen.state for seen in hosts.observe(dict)][::2] == [HostState.READY, HostState.READY]
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
