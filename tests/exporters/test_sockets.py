"""Connections within a deadline, whatever the addresses of a name lead to."""

import socket
import time
from collections.abc import Iterator

import pytest

from exporters.serving import Address
from exporters.sockets import connected, left_s, receive

LONG_S = 60.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def swallowing() -> Iterator[tuple[str, int]]:
    """Give an address that takes a connection and answers no further one: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.settimeout(0)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolved(*addresses: tuple[str, int]) -> object:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]


def test_an_address_that_swallows_packets_leaves_time_for_the_next_one(
    server: socket.socket, swallowing: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolved(swallowing, server.getsockname()))
    with connected(Address("two", 1), time.monotonic() + 4) as link:
        assert link.getpeername() == server.getsockname()


def test_an_address_that_refuses_is_passed_by(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        closed = other.getsockname()
    monkeypatch.setattr(socket, "getaddrinfo", resolved(closed, server.getsockname()))
    with connected(Address("two", 1), time.monotonic() + LONG_S) as link:
        assert link.getpeername() == server.getsockname()


def test_when_all_refuse_the_last_ones_error_is_raised() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        closed = Address(*other.getsockname())
    with pytest.raises(ConnectionRefusedError):
        connected(closed, time.monotonic() + LONG_S)


def test_no_time_is_no_connection(server: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        connected(Address(*server.getsockname()), time.monotonic() - 1)
    with pytest.raises(TimeoutError):
        left_s(time.monotonic() - 1)


def test_all_of_what_is_wanted_is_received_and_no_more() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"abcdef")
        assert receive(ours, 4, time.monotonic() + LONG_S) == b"abcd"
        theirs.close()
        with pytest.raises(ConnectionResetError, match="closed by the other side"):
            receive(ours, 4, time.monotonic() + LONG_S)
