"""The reception of datagrams, over real sockets."""

import socket
from collections.abc import Iterator

import click
import pytest

from exporters.serving import Address
from exporters.xrootd.udp import MAX_DATAGRAM_BYTES, UdpReceiver, receiving
from tests.testbed.processes import wait_until

LOOPBACK = Address("127.0.0.1", 0)
DEADLINE_S = 30

# The longest that IPv4 can carry.
LONGEST = MAX_DATAGRAM_BYTES - 28


class Taken:
    """What came; raises for the datagram b"raise"."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.senders: list[tuple[object, ...]] = []

    def __call__(self, datagram: bytes, sender: tuple[object, ...]) -> None:
        if datagram == b"raise":
            raise LookupError("nobody expected this")
        self.datagrams.append(datagram)
        self.senders.append(sender)

    def wait_for(self, *datagrams: bytes) -> None:
        wait_until(lambda: self.datagrams == list(datagrams), DEADLINE_S, "the datagrams")


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def receiver(taken: Taken) -> Iterator[UdpReceiver]:
    with receiving("UDP", LOOPBACK, taken) as receiver:
        yield receiver


@pytest.fixture
def sender(receiver: UdpReceiver) -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect((receiver.address.host, receiver.address.port))
        yield sender


def test_datagrams_are_handed_over_with_their_sender(
    receiver: UdpReceiver, sender: socket.socket, taken: Taken
) -> None:
    sender.send(b"one")
    sender.send(b"two")
    taken.wait_for(b"one", b"two")
    assert taken.senders == [sender.getsockname()] * 2
    assert (receiver.received, receiver.faults) == (2, 0)


def test_datagrams_arrive_whole_be_they_empty_or_the_longest_there_is(sender: socket.socket, taken: Taken) -> None:
    sender.send(b"")
    sender.send(b"x" * LONGEST)
    taken.wait_for(b"", b"x" * LONGEST)


def test_a_datagram_that_makes_the_function_raise_is_counted_and_the_next_one_is_taken(
    receiver: UdpReceiver, sender: socket.socket, taken: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    for datagram in (b"raise", b"raise", b"good"):
        sender.send(datagram)
    taken.wait_for(b"good")
    assert (receiver.received, receiver.faults) == (3, 2)
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "unexpected LookupError: nobody expected this"
    ]


def test_more_datagrams_than_are_taken_between_two_looks_at_the_end_all_arrive(
    sender: socket.socket, taken: Taken
) -> None:
    for number in range(2500):
        sender.send(b"%d" % number)
        wait_until(lambda n=number: len(taken.datagrams) > n - 50, DEADLINE_S, "the receiver")
    taken.wait_for(*(b"%d" % number for number in range(2500)))


def test_what_did_not_fit_into_the_buffer_is_counted_by_the_kernel(
    receiver: UdpReceiver, sender: socket.socket
) -> None:
    assert receiver.dropped() == 0
    # With one byte asked for, the kernel grants its least: two packets of 1500 bytes at most.
    receiver._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def overflow() -> bool:
        for _ in range(100):
            sender.send(b"x" * 1500)
        return bool(receiver.dropped())

    wait_until(overflow, DEADLINE_S, "a loss")


def test_ipv6_is_received(taken: Taken) -> None:
    with (
        receiving("UDP", Address("::1", 0), taken) as receiver,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(b"six", ("::1", receiver.address.port))
        taken.wait_for(b"six")


def test_an_end_gives_the_address_back(taken: Taken) -> None:
    with receiving("UDP", LOOPBACK, taken) as receiver:
        pass
    with receiving("UDP", receiver.address, taken) as again:
        assert again.address == receiver.address


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_here_is_a_sentence(host: str, taken: Taken) -> None:
    with (
        pytest.raises(click.ClickException, match=f"^cannot listen for UDP reports on {host}:9931: "),
        receiving("UDP reports", Address(host, 9931), taken),
    ):
        pass
