"""Connections to a real libvirtd that freezes, dies and comes back."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from autoscaler.contracts import HypervisorError
from autoscaler.hypervisors.connection import KEEPALIVE_COUNT, KEEPALIVE_INTERVAL_S, Connection, NotConnectedError
from autoscaler.hypervisors.kvm import KvmDriver
from autoscaler.hypervisors.libvirt_host import LibvirtHost
from autoscaler.service.lane import Lane
from tests.hypervisors.leaks import nothing_left_behind, opening
from tests.testbed.guests import Kernel
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder, wait_until
from tests.testbed.proof_area import Status
from tests.testbed.site import HOST, running_site

ENOUGH_S = 180
HANG_S = KEEPALIVE_INTERVAL_S * (KEEPALIVE_COUNT + 1)  # 20
ROUNDS = 300
TRANSFER_DEADLINE_S = 600


@contextmanager
def frozen(libvirtd: Libvirtd) -> Iterator[None]:
    """Stop the daemon for the ``with`` block."""
    libvirtd.daemon.pause()
    try:
        yield
    finally:
        libvirtd.daemon.resume()


@contextmanager
def dead(libvirtd: Libvirtd) -> Iterator[None]:
    """Kill the daemon for the ``with`` block."""
    libvirtd.daemon.kill9()
    try:
        yield
    finally:
        libvirtd.start()


def host_on(libvirtd: Libvirtd) -> LibvirtHost:
    """A host without domains of ours: reading it is calls enough."""
    return LibvirtHost("host-1", libvirtd.uri, (), KvmDriver(), read_only=False)


@pytest.fixture
def host(libvirtd: Libvirtd) -> Iterator[LibvirtHost]:
    """A host that was read once."""
    with closing(host_on(libvirtd)) as host:
        host.read()
        yield host


@pytest.fixture
def lane() -> Iterator[Lane]:
    """The thread of a host."""
    lane = Lane("host-1")
    yield lane
    lane.end()


def test_a_call_under_way_when_the_daemon_freezes_ends_with_an_error_and_the_first_one_after_it_runs_again_succeeds(
    libvirtd: Libvirtd, host: LibvirtHost, lane: Lane
) -> None:
    with frozen(libvirtd):
        error = lane.submit(host.read).exception(HANG_S + ENOUGH_S)
        assert isinstance(error, HypervisorError)
        assert str(error).startswith(f"host-1 ({libvirtd.uri}): ")
        assert "keepalive timeout" in str(error)
    host.read()


def test_closing_while_the_daemon_is_frozen_ends_too(libvirtd: Libvirtd, host: LibvirtHost, lane: Lane) -> None:
    with frozen(libvirtd):
        assert lane.submit(host.close).exception(HANG_S + ENOUGH_S) is None


def test_a_daemon_that_was_started_anew_between_two_calls_costs_none_of_them(
    libvirtd: Libvirtd, host: LibvirtHost
) -> None:
    with dead(libvirtd):
        pass
    host.read()


def test_a_daemon_that_is_down_is_an_error_that_says_why_until_it_is_back(
    libvirtd: Libvirtd, host: LibvirtHost
) -> None:
    def wait_for_reason(pattern: str) -> None:
        def given() -> bool:
            with pytest.raises(HypervisorError) as caught:
                host.read()
            return re.search(pattern, str(caught.value)) is not None

        wait_until(given, ENOUGH_S, pattern)

    with dead(libvirtd):
        # The call before may still find the old connection, and one that comes a second later tries again.
        wait_for_reason(r"no connection: Failed to connect socket .*Connection refused$")
        wait_for_reason(r"Connection refused; tried again in \d+ s$")
    wait_until(host.read, ENOUGH_S, "the host to be read again")


def test_a_host_that_hangs_does_not_delay_another_one(libvirtd: Libvirtd, host: LibvirtHost, lane: Lane) -> None:
    with scratch_folder() as folder, Libvirtd(folder) as other, closing(host_on(other)) as calm:
        calm.read()
        took_s = []
        with frozen(libvirtd):
            hung = lane.submit(host.read)
            while not hung.done():
                began = time.monotonic()
                calm.read()
                took_s.append(time.monotonic() - began)
        assert isinstance(hung.exception(), HypervisorError)
        assert len(took_s) > HANG_S
        assert max(took_s) < HANG_S / 2  # some milliseconds, were the machine not shared


def test_opening_and_closing_leaves_nothing_behind(libvirtd: Libvirtd, host: LibvirtHost) -> None:
    with nothing_left_behind(), closing(host_on(libvirtd)) as other:
        for _ in range(ROUNDS):
            other.read()
            other.close()
    host.read()


class TestOpeningWhileTheDaemonIsFrozen:
    """Keep-alive does not cover it."""

    def test_is_given_up_and_leaves_nothing_behind_when_the_daemon_runs_again(self, libvirtd: Libvirtd) -> None:
        with (
            nothing_left_behind(),
            closing(Connection(libvirtd.uri, read_only=False, open_timeout_s=1)) as connection,
        ):
            with frozen(libvirtd):
                for _ in range(2):
                    wait_until(lambda: attempt_failed(connection), ENOUGH_S, "an attempt")
                assert opening(libvirtd.uri) == 1
            wait_until(connection.get, ENOUGH_S, "the connection")

    def test_is_overcome_when_the_host_was_switched_off_and_its_answer_never_comes(
        self, libvirtd: Libvirtd, scratch: Path
    ) -> None:
        """What stands for the host before it was switched off takes connections and stays silent to the end."""
        path = scratch / "socket"
        uri = f"qemu:///system?socket={path}"
        with ExitStack() as stack:
            silent = stack.enter_context(socket(AF_UNIX))
            silent.bind(str(path))
            silent.listen()
            connection = stack.enter_context(closing(Connection(uri, read_only=False, open_timeout_s=5)))
            assert attempt_failed(connection)
            path.unlink()
            path.symlink_to(libvirtd.uri.partition("socket=")[2])
            assert wait_until(connection.get, ENOUGH_S, "the connection").isAlive()
            assert opening(uri) == 1


def attempt_failed(connection: Connection) -> bool:
    """Whether it was tried now, not only refused, and failed."""
    with pytest.raises(NotConnectedError) as caught:
        connection.get()
    return "tried again" not in str(caught.value)


def test_a_controller_sees_a_frozen_host_as_unusable_and_serves_it_when_it_is_back(
    libvirtd: Libvirtd, guest_kernel: Kernel, scratch: Path
) -> None:
    with running_site(libvirtd.uri, guest_kernel, scratch) as site:

        def problem() -> str | None:
            *_, newest = site.history("--all")
            host = next(host for host in newest["situation"]["hosts"] if host["host"] == HOST)
            return host["problem"]

        def grown() -> bool:
            *_, newest = site.history()
            goals = [host["transfer"]["workers_to"] for host in newest["hosts"] if host["transfer"]]
            return goals != [0] and [outcome["result"] for outcome in newest["outcomes"]] == ["done"]

        site.controller.start()
        site.controller.wait_until(lambda: problem() is None, TRANSFER_DEADLINE_S, "the host to be usable")
        with frozen(libvirtd):
            site.area.open_session("alice", status=Status.RUNNING)
            site.controller.wait_until(
                lambda: "no connection" in (problem() or ""), TRANSFER_DEADLINE_S, "the call under way to end"
            )
        site.controller.wait_until(grown, TRANSFER_DEADLINE_S, "PROOF to get its workers")
        with frozen(libvirtd):
            site.controller.wait_until(problem, TRANSFER_DEADLINE_S, "the host to be unusable")
            assert site.controller.terminate() == 0
