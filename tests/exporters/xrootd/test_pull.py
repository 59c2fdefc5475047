"""Whether servers answer the handshake: against sockets that behave well, badly, or not at all."""

import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from exporters.serving import Address
from exporters.xrootd.pull import HANDSHAKE, Answer, BadAnswer, Pull, parse_answer, shake_hands
from tests.exporters.xrootd.packets import ANSWER

NOT_XROOTD = "it does not speak the xrootd protocol"
CLOSED = "it closed the connection within the handshake"


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A server that takes one connection after the other and hands it to ``serve``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        yield Address("127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def answering(*pieces: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        for piece in pieces:
            connection.send(piece)

    return serve


def nobody() -> Address:
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address("127.0.0.1", listener.getsockname()[1])


def samples(pull: Pull) -> dict[str, list[tuple[dict[str, str], float]]]:
    return {metric.name: [(sample.labels, sample.value) for sample in metric.samples] for metric in pull.read()}


def ups(pull: Pull) -> list[float]:
    return [value for _, value in samples(pull)["xrootd_pull_server_up"]]


def test_the_handshake_is_that_of_the_protocol() -> None:
    assert bytes(12) + b"\0\0\0\4\0\0\7\xdc" == HANDSHAKE


def test_a_real_answer_is_read() -> None:
    assert parse_answer(ANSWER) == Answer("5.1.1", "server")


def test_a_redirector_is_told_from_a_server() -> None:
    assert parse_answer(ANSWER[:-1] + b"\0") == Answer("5.1.1", "redirector")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", CLOSED),
        (ANSWER[:-1], CLOSED),
        (ANSWER + b"\0", CLOSED),
        (b"HTTP/1.1 400 Bad", NOT_XROOTD),
        (struct.pack(">HHIII", 1, 0, 8, 0x511, 1), NOT_XROOTD),
        (struct.pack(">HHIII", 0, 4003, 8, 0x511, 1), NOT_XROOTD),
        (struct.pack(">HHIII", 0, 0, 2**31, 0x511, 1), NOT_XROOTD),
        (struct.pack(">HHIII", 0, 0, 8, 0, 1), NOT_XROOTD),
        (struct.pack(">HHIII", 0, 0, 8, 2**32 - 1, 1), NOT_XROOTD),
        (struct.pack(">HHIII", 0, 0, 8, 0x511, 7), NOT_XROOTD),
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer, match=reason):
        parse_answer(answer)


def test_an_answer_in_pieces_is_an_answer() -> None:
    with listening(answering(ANSWER[:3], ANSWER[3:])) as server:
        assert shake_hands(server) == parse_answer(ANSWER)


def test_a_server_that_says_endlessly_much_is_heard_for_16_bytes_only() -> None:
    with listening(answering(b"x" * 100_000)) as server, pytest.raises(BadAnswer, match=NOT_XROOTD):
        shake_hands(server)


def test_a_server_that_says_nothing_is_given_up() -> None:
    done = threading.Event()
    try:
        with listening(lambda _: done.wait()) as server:
            with pytest.raises(TimeoutError):
                shake_hands(server, timeout_s=0.2)
            done.set()
    finally:
        done.set()


def test_a_server_that_trickles_is_given_up() -> None:
    def trickle(connection: socket.socket) -> None:
        done = threading.Event()
        for byte in ANSWER:
            try:
                connection.send(bytes([byte]))
            except OSError:
                return
            done.wait(0.2)

    with listening(trickle) as server, pytest.raises(TimeoutError):
        shake_hands(server, timeout_s=0.5)


def test_a_server_that_answers_is_up_and_one_that_is_dead_is_down() -> None:
    with listening(answering(ANSWER)) as server:
        dead = nobody()
        found = samples(Pull([server, dead]))
    assert found["xrootd_pull_server_up"] == [({"server": str(server)}, 1), ({"server": str(dead)}, 0)]
    assert [labels for labels, _ in found["xrootd_pull_duration_seconds"]] == [{"server": str(server)}]
    assert found["xrootd_pull_server"] == [({"server": str(server), "protocol": "5.1.1", "role": "server"}, 1)]


def test_that_all_servers_are_dead_is_an_answer() -> None:
    assert ups(Pull([nobody(), nobody()])) == [0, 0]


def test_a_server_given_twice_is_asked_once() -> None:
    asked = []

    def shake(server: Address) -> Answer:
        asked.append(server)
        return parse_answer(ANSWER)

    assert ups(Pull([Address("vm", 1094)] * 2, shake)) == [1]
    assert len(asked) == 1


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 70])
def test_a_name_that_leads_nowhere_is_down(host: str) -> None:
    assert ups(Pull([Address(host, 1094)])) == [0]


def test_servers_are_asked_at_the_same_time() -> None:
    both = threading.Barrier(2)

    def shake(_: Address) -> Answer:
        both.wait(60)
        return parse_answer(ANSWER)

    assert ups(Pull([Address("a", 1), Address("b", 1)], shake, timeout_s=60)) == [1, 1]


def test_a_server_that_hangs_delays_no_other_and_is_not_asked_again_meanwhile() -> None:
    release = threading.Event()
    asked = []

    def shake(server: Address) -> Answer:
        asked.append(server.host)
        if server.host == "hung":
            release.wait()
        return parse_answer(ANSWER)

    pull = Pull([Address("hung", 1), Address("well", 1)], shake, timeout_s=2)
    try:
        assert ups(pull) == [0, 1]
        assert ups(pull) == [0, 1]
        assert asked.count("hung") == 1
    finally:
        release.set()
    pull._asking[Address("hung", 1)].result(60)
    assert ups(Pull([Address("well", 1)], shake, timeout_s=60)) == [1]
    assert ups(pull) == [1, 1]


def test_why_a_server_is_down_is_logged_once_per_outage(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    alive = iter((True, False, False, True, False))

    def shake(_: Address) -> Answer:
        if not next(alive):
            raise ConnectionRefusedError(111, "Connection refused")
        return parse_answer(ANSWER)

    pull = Pull([Address("vm", 1094)], shake)
    assert [ups(pull) for _ in range(5)] == [[1], [0], [0], [1], [0]]
    down = "xrootd_pull: vm:1094 does not answer: Connection refused"
    assert [record.message for record in caplog.records] == [down, "xrootd_pull: vm:1094 answers again", down]
