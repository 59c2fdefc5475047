"""A connection that is opened again, with a clock that the test moves; libvirt's test driver and sockets, no daemon."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from autoscaler.hypervisors.connection import Connection, NotConnectedError
from tests.hypervisors.leaks import nothing_left_behind, opening
from tests.hypervisors.site import on_test_driver
from tests.testbed.processes import wait_until

ENOUGH_S = 180
HUNG_S = 0.2
ROUNDS = 300


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a hypervisor that takes connections and never says a word, as a libvirtd that is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"


def nobody(folder: Path) -> str:
    return f"qemu:///system?socket={folder}/nobody"


def refused(connection: Connection) -> str:
    """Why there is no connection."""
    with pytest.raises(NotConnectedError) as caught:
        connection.get()
    return str(caught.value)


class TestBackOff:
    """After an attempt that failed nothing is tried for a while, for longer each time."""

    def test_the_attempt_that_fails_says_why(self, tmp_path: Path, clock: Clock) -> None:
        reason = refused(Connection(nobody(tmp_path), read_only=True, clock=clock))
        assert reason.startswith("no connection: Failed to connect socket to ")
        assert reason.endswith("/nobody': No such file or directory")

    def test_a_call_soon_after_repeats_the_reason_and_says_when_it_is_tried_again(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        connection = Connection(nobody(tmp_path), read_only=True, clock=clock)
        reason = refused(connection)
        assert refused(connection) == f"{reason}; tried again in 1 s"

    def test_the_wait_doubles_from_one_second_to_a_minute(self, tmp_path: Path, clock: Clock) -> None:
        connection = Connection(nobody(tmp_path), read_only=True, clock=clock)
        for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
            assert "tried again" not in refused(connection)
            assert refused(connection).endswith(f"; tried again in {wait_s} s")
            clock.now += wait_s - 0.5
            assert refused(connection).endswith("; tried again in 1 s")
            clock.now += 0.5

    def test_nothing_is_tried_meanwhile_even_if_it_would_succeed(self, tmp_path: Path, clock: Clock) -> None:
        connection = Connection(f"test://{tmp_path}/host.xml", read_only=True, clock=clock)
        refused(connection)
        on_test_driver(tmp_path)
        refused(connection)
        clock.now += 1
        assert connection.get().isAlive()

    def test_a_success_begins_it_anew(self, tmp_path: Path, clock: Clock) -> None:
        connection = Connection(f"test://{tmp_path}/host.xml", read_only=True, clock=clock)
        for wait_s in (1, 2, 4):
            refused(connection)
            clock.now += wait_s
        on_test_driver(tmp_path)
        connection.get()
        connection.close()
        (tmp_path / "host.xml").unlink()
        refused(connection)
        assert refused(connection).endswith("; tried again in 1 s")


class TestReopening:
    """A connection is kept as long as it is of use."""

    def test_it_is_opened_once(self) -> None:
        connection = Connection("test:///default", read_only=True)
        assert connection.get() is connection.get()

    def test_what_was_closed_is_opened_again(self) -> None:
        connection = Connection("test:///default", read_only=True)
        first = connection.get()
        connection.close()
        assert connection.get() is not first

    def test_it_is_opened_again_after_an_error_of_the_way_to_the_hypervisor(self, tmp_path: Path) -> None:
        connection = Connection("test:///default", read_only=True)
        first = connection.get()
        with pytest.raises(libvirt.libvirtError) as of_the_way:
            libvirt.open(nobody(tmp_path))
        connection.failed(of_the_way.value)
        assert connection.get() is not first

    def test_it_is_kept_after_an_error_of_a_domain(self) -> None:
        connection = Connection("test:///default", read_only=True)
        first = connection.get()
        with pytest.raises(libvirt.libvirtError) as of_a_domain:
            first.lookupByName("nobody")
        connection.failed(of_a_domain.value)
        assert connection.get() is first

    def test_opening_and_closing_leaves_nothing_behind(self) -> None:
        connection = Connection("test:///default", read_only=False)
        with nothing_left_behind():
            for _ in range(ROUNDS):
                connection.get()
                connection.close()


class TestAnOpenThatHangs:
    """Nothing can end it; it is left behind."""

    def test_is_given_up_in_time(self, silent: str) -> None:
        connection = Connection(silent, read_only=True, open_timeout_s=HUNG_S)
        assert refused(connection) == "no connection: opening it took longer than 0.2 s"

    def test_holds_one_thread_however_often_it_is_tried_again(self, silent: str, clock: Clock) -> None:
        connection = Connection(silent, read_only=True, clock=clock, open_timeout_s=HUNG_S)
        for _ in range(4):
            refused(connection)
            clock.now += ENOUGH_S
        assert opening(silent) == 1

    def test_leaves_nothing_behind_when_the_other_end_is_gone(self, clock: Clock) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            uri = f"qemu+tcp://127.0.0.1:{listener.getsockname()[1]}/system"
            connection = Connection(uri, read_only=True, clock=clock, open_timeout_s=HUNG_S)
            refused(connection)
        wait_until(lambda: opening(uri) == 0, ENOUGH_S, "the open to end")
        clock.now += ENOUGH_S
        wait_until(lambda: "Connection refused" in refused_later(connection, clock), ENOUGH_S, "the true reason")

    def test_does_not_keep_the_process_from_ending(self, silent: str) -> None:
        """As the controller ends: the hosts' threads are daemons, and nobody waits for them."""
        program = (
            "import sys, threading; from autoscaler.hypervisors.connection import Connection\n"
            "connection = Connection(sys.argv[1], read_only=True, open_timeout_s=1000)\n"
            "threading.Thread(target=connection.get, daemon=True).start()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, silent], capture_output=True, text=True, timeout=ENOUGH_S, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def refused_later(connection: Connection, clock: Clock) -> str:
    clock.now += ENOUGH_S
    return refused(connection)
