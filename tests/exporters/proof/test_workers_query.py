"""The workers of PROOF's scheduler, asked for over TCP."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.proof.connection import (
    HANDSHAKE,
    MAX_BYTES_PER_QUESTION,
    admin_request,
    login_request,
    new_pid,
    parse_user,
)
from exporters.proof.workers_query import MAX_WORKERS, Workers, WorkersQuery, parse_workers, worker_metrics
from exporters.serving import Address, Source, SourceUnavailable
from exporters.sockets import connected
from tests.exporters.exposition import assert_golden, exposition
from tests.exporters.fuzzing import cut_and_changed, unhurried
from tests.testbed.fake_xproofd import FakeXproofd, Worker
from tests.testbed.processes import free_port

# As a real xproofd of ROOT 5.28 answered.
CAPTURED = (
    b"Selection: round-robin, max workers: -1 &M: localhost:1093  sessions: 1 &"
    b"W: localhost:1093  sessions: 1 &W: localhost:1093  sessions: 1 &\0"
)
HANDSHAKE_ANSWER = bytes.fromhex("0000000000000000000003ee00000000")
LOGIN_ANSWER = bytes.fromhex("0001 0000 00000004 000003ee")
NOWHERE = Address("xproofd.example.org", 1093)


class Clock:
    """A clock that stands still unless it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[FakeXproofd]:
    with FakeXproofd() as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def query(server: FakeXproofd, clock: Clock) -> Iterator[WorkersQuery]:
    with closing(WorkersQuery(Address("127.0.0.1", server.port), "ganis", timeout_s=30, clock=clock)) as query:
        yield query


def values(query: WorkersQuery) -> dict[str, float]:
    samples = [sample for metric in query.read() for sample in metric.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def reason(query: WorkersQuery) -> str:
    with pytest.raises(SourceUnavailable) as caught:
        query.read()
    return caught.value.reason


def framed(data: bytes, status: int = 0, stream: bytes = b"\0\1") -> bytes:
    return stream + struct.pack(">Hi", status, len(data)) + data


@contextmanager
def query_that_gets(said: bytes, timeout_s: float = 30) -> Iterator[WorkersQuery]:
    """Give a query whose server says these bytes, whatever it is asked, and nothing more."""
    ours, theirs = socket.socketpair()
    with closing(WorkersQuery(NOWHERE, "ganis", timeout_s, connect=lambda *_: ours)) as query, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        yield query


# The bytes.


def test_the_handshake_is_that_of_xproofd() -> None:
    assert bytes.fromhex("00000000 00000000 00000001 00000000 00000000 00000004 000007dc") == HANDSHAKE


def test_a_login_has_the_short_name_in_its_field() -> None:
    assert login_request("ganis", 0x00BADA55) == (
        bytes.fromhex("0001 0c1d 00bada55")
        + b"ganis\0\0\0"
        + struct.pack("=h", 36)
        + b"\xffA"
        + bytes.fromhex("00000000")
    )


def test_a_name_of_eight_bytes_still_fits() -> None:
    assert login_request("alicetaf", 1)[8:16] == b"alicetaf"


def test_a_longer_name_follows_the_login() -> None:
    request = login_request("alice-prod:alice", 1)
    assert request[8:16] == b"?>buf\0\0\0"
    assert request[20:] == bytes.fromhex("00000017") + b"|usr:alice-prod:alice|\0"


def test_the_question_is_that_for_the_workers() -> None:
    assert admin_request(1004) == bytes.fromhex("0001 0c29 00000000 000003ec 00000000 00000000 00000000")


def test_a_process_id_is_none_that_a_process_could_have() -> None:
    assert all(1 << 22 <= new_pid() < 1 << 31 for _ in range(1000))


def test_each_connection_has_a_process_id_of_its_own(server: FakeXproofd, query: WorkersQuery) -> None:
    query.read()
    first = server.clients[-1].pid
    query.close()
    query.read()
    assert server.clients[-1].pid != first


def test_all_that_is_sent_is_a_login_and_one_question_per_read(server: FakeXproofd, query: WorkersQuery) -> None:
    query.read()
    query.read()
    (client,) = server.clients
    assert client.pid is not None
    assert client.received == login_request("ganis", client.pid) + 2 * admin_request(1004)
    assert server.logins == 1


def test_a_connection_ends_the_one_that_has_its_process_id(server: FakeXproofd) -> None:
    address, until_s = Address("127.0.0.1", server.port), time.monotonic() + 30
    with connected(address, until_s) as one, connected(address, until_s) as two:
        for link in (one, two):
            link.sendall(HANDSHAKE + login_request("ganis", 4711))
            assert link.makefile("rb").read(28) == HANDSHAKE_ANSWER + LOGIN_ANSWER
        one.shutdown(socket.SHUT_RDWR)
        assert two.recv(1) == b""


# The list.


def test_a_worker_has_as_many_slots_as_lines_and_the_sessions_of_all_of_them() -> None:
    assert parse_workers(CAPTURED) == Workers({"localhost:1093": 2}, {"localhost:1093": 2}, master_sessions=1)


def test_the_selection_of_all_workers_has_no_limit_and_no_separator() -> None:
    workers = parse_workers(b"Selection: allM: vaf-m:1093  sessions: 0 &W: vaf-w1:1093  sessions: 3 &\0")
    assert workers == Workers({"vaf-w1:1093": 1}, {"vaf-w1:1093": 3}, master_sessions=0)


def test_a_worker_without_a_port_goes_by_its_host() -> None:
    assert parse_workers(b"Selection: allW: vaf-w1       sessions: 3 &\0").slots == {"vaf-w1": 1}


def test_submasters_are_no_workers() -> None:
    assert parse_workers(b"Selection: allS: vaf-s1:1093  sessions: 3 &\0") == Workers({}, {}, master_sessions=None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0",
        b"Selection: al\0",
        b"Selection: some, max workers: 3 &\0",
        b"Selection: all, max workers: 3 &\0",
        b"Selection: round-robin, max workers: -1\0",
        b"Selection: allW: host:1093  sessions: \0",
        b"Selection: allW: host:1093  sessions: 1\0",
        b"Selection: allW: host:1093  sessions: -1 &\0",
        b"Selection: allW: host:1093  sessions: 1 &and more\0",
        b"Selection: allW: host:1093  sessions: 1 &\0more",
        b"Selection: allW: h\xc3\xb6st:1093  sessions: 1 &\0",
        CAPTURED.removesuffix(b"\0"),
    ],
)
def test_what_is_not_the_whole_list_is_none(answer: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"kQueryWorkers\) is not of the known form"):
        parse_workers(answer)


def test_workers_beyond_the_bound_are_added_up() -> None:
    numbers = {f"vaf-w{index:04}:1093": 2 for index in range(MAX_WORKERS + 5)}
    for metric in worker_metrics(Workers(numbers, numbers, master_sessions=0)):
        if metric.name != "proof_network_master_sessions":
            assert len(metric.samples) == MAX_WORKERS + 1
            assert metric.samples[-1].labels == {"worker": "(others)"}
            assert metric.samples[-1].value == 10


@unhurried
@given(st.binary() | cut_and_changed(CAPTURED))
def test_any_answer_is_a_list_or_unavailable(answer: bytes) -> None:
    with suppress(SourceUnavailable):
        list(worker_metrics(parse_workers(answer)))


# The conversation.


def test_the_workers_of_a_server_are_read(server: FakeXproofd, query: WorkersQuery) -> None:
    server.workers = [Worker("vaf-m", 2, kind="M"), *[Worker(f"vaf-w{index}", 2 - index) for index in (1, 1, 2)]]
    assert values(query) == {
        "proof_network_worker_slots vaf-w1:1093": 2,
        "proof_network_worker_slots vaf-w2:1093": 1,
        "proof_network_assigned_sessions vaf-w1:1093": 2,
        "proof_network_assigned_sessions vaf-w2:1093": 0,
        "proof_network_master_sessions": 2,
    }


def test_messages_nobody_asked_for_are_passed_over(server: FakeXproofd, query: WorkersQuery) -> None:
    server.unasked = ["verifying existing sessions, 5 seconds ...", "ignoring non-responding session(s)"]
    assert values(query)["proof_network_worker_slots localhost:1093"] == 2


def test_a_restart_between_two_reads_is_not_noticed(server: FakeXproofd, query: WorkersQuery) -> None:
    query.read()
    server.restart()
    assert values(query)["proof_network_worker_slots localhost:1093"] == 2
    assert server.logins == 2


def test_a_server_that_hangs_up_after_each_answer_is_read_each_time(server: FakeXproofd, query: WorkersQuery) -> None:
    server.hangs_up_after = 1
    for _ in range(3):
        query.read()
    assert server.logins == 3


def test_a_long_user_name_logs_in(server: FakeXproofd) -> None:
    with closing(WorkersQuery(Address("127.0.0.1", server.port), "alice-production", 30)) as query:
        query.read()
        assert [client.user for client in server.clients] == ["alice-production"]


def test_a_refusal_is_told_with_the_servers_words(server: FakeXproofd, query: WorkersQuery) -> None:
    server.refuses = "GetWorkers\n failed"
    assert reason(query) == f"xproofd at 127.0.0.1:{server.port} refuses: GetWorkers failed (error 3006)"


def test_root_is_refused_by_the_server(server: FakeXproofd) -> None:
    query = WorkersQuery(Address("127.0.0.1", server.port), "root", 30)
    assert reason(query).endswith("refuses: username not allowed: root (error 3006)")


def test_a_server_that_wants_authentication_is_unavailable(server: FakeXproofd, query: WorkersQuery) -> None:
    server.wants_authentication = True
    assert "asks for authentication" in reason(query)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    port = free_port()
    query = WorkersQuery(Address("127.0.0.1", port), "ganis", 30)
    assert reason(query) == (
        f"cannot connect to xproofd at 127.0.0.1:{port}: Connection refused; does it run, and on the port of --tcp?"
    )


def test_a_host_that_does_not_exist_is_unavailable() -> None:
    query = WorkersQuery(Address("no-such-host.invalid", 1093), "ganis", 30)
    assert reason(query).startswith("cannot connect to xproofd at no-such-host.invalid:1093: ")


def test_a_server_that_hangs_is_given_up(server: FakeXproofd) -> None:
    server.hangs = True
    query = WorkersQuery(Address("127.0.0.1", server.port), "ganis", timeout_s=0.2)
    assert reason(query) == f"xproofd at 127.0.0.1:{server.port} gave no answer within 0.2 s"


def test_a_kept_connection_that_hangs_is_replaced_by_a_later_read(
    server: FakeXproofd, query: WorkersQuery, clock: Clock
) -> None:
    query.read()
    server.hangs, query.timeout_s = True, 0.2
    assert "gave no answer" in reason(query)
    server.hangs, query.timeout_s = False, 30
    clock.now += 1
    query.read()
    assert server.logins == 2


def test_the_time_is_that_of_the_whole_answer_however_slowly_it_drips() -> None:
    ours, theirs = socket.socketpair()
    gone = threading.Event()

    def drip() -> None:
        with suppress(OSError), theirs:
            while not gone.wait(0.01):
                theirs.sendall(b"\0")

    thread = threading.Thread(target=drip)
    thread.start()
    with closing(WorkersQuery(NOWHERE, "ganis", timeout_s=0.1, connect=lambda *_: ours)) as query:
        assert "gave no answer within 0.1 s" in reason(query)
    gone.set()
    thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"", HANDSHAKE_ANSWER[:7], HANDSHAKE_ANSWER, HANDSHAKE_ANSWER + LOGIN_ANSWER, HANDSHAKE_ANSWER + LOGIN_ANSWER[:9]],
)
def test_a_new_connection_that_is_closed_is_unavailable(answer: bytes) -> None:
    with query_that_gets(answer) as query:
        assert reason(query) == "xproofd at xproofd.example.org:1093 closed the connection instead of answering"


def test_an_xrootd_is_not_taken_for_an_xproofd() -> None:
    with query_that_gets(bytes.fromhex("0000 0000 00000008 00000310 00000001")) as query:
        assert "does not answer as xproofd does; does --tcp lead to its port?" in reason(query)


@pytest.mark.parametrize("length", [-1, -(2**31), MAX_BYTES_PER_QUESTION + 1, 2**31 - 1])
def test_a_length_no_answer_can_have_is_not_waited_for(length: int) -> None:
    with query_that_gets(HANDSHAKE_ANSWER + LOGIN_ANSWER + b"\0\1" + struct.pack(">Hi", 0, length)) as query:
        assert "sends more than an answer can have, or less than nothing" in reason(query)


@pytest.mark.parametrize(
    "answer", [framed(CAPTURED, stream=b"\0\2"), framed(CAPTURED, status=4005), framed(CAPTURED, status=77)]
)
def test_an_answer_to_something_else_is_unavailable(answer: bytes) -> None:
    with query_that_gets(HANDSHAKE_ANSWER + LOGIN_ANSWER + answer) as query:
        assert "gave an answer that does not belong to the question" in reason(query)


def test_a_request_for_more_authentication_is_unavailable() -> None:
    with query_that_gets(HANDSHAKE_ANSWER + framed(b"&P=krb5", status=4002)) as query:
        assert "asks for authentication" in reason(query)


def test_a_server_that_never_stops_talking_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    sent = []

    def talk() -> None:
        with suppress(OSError), theirs:
            theirs.sendall(HANDSHAKE_ANSWER + LOGIN_ANSWER)
            while True:
                sent.append(theirs.send(framed(bytes(5000), status=4001)))

    thread = threading.Thread(target=talk)
    thread.start()
    with closing(WorkersQuery(NOWHERE, "ganis", 60, connect=lambda *_: ours)) as query:
        assert "sends more than an answer can have" in reason(query)
    thread.join()
    assert sum(sent) < 2 * MAX_BYTES_PER_QUESTION


@unhurried
@given(
    st.sampled_from([b"", HANDSHAKE_ANSWER, HANDSHAKE_ANSWER + LOGIN_ANSWER]),
    st.binary() | cut_and_changed(HANDSHAKE_ANSWER + LOGIN_ANSWER + framed(b"hi", 4001) + framed(CAPTURED)),
)
def test_a_server_may_say_anything(before: bytes, said: bytes) -> None:
    with query_that_gets(before + said) as query, suppress(SourceUnavailable):
        query.read()


@unhurried
@given(st.integers(0, 65535), st.integers(-(2**31), 2**31 - 1), st.binary(), st.binary(min_size=2, max_size=2))
def test_a_server_may_answer_with_any_status_and_length(status: int, length: int, data: bytes, stream: bytes) -> None:
    answer = stream + struct.pack(">Hi", status, length) + data
    with query_that_gets(HANDSHAKE_ANSWER + LOGIN_ANSWER + answer) as query, suppress(SourceUnavailable):
        query.read()


# The patience.


def failing(clock: Clock) -> tuple[WorkersQuery, list[float]]:
    """Return a query that cannot connect, and the list of when it tries."""
    tried: list[float] = []

    def refuse(*_: object) -> socket.socket:
        tried.append(clock.now)
        raise ConnectionRefusedError(111, "Connection refused")

    return WorkersQuery(NOWHERE, "ganis", clock=clock, connect=refuse), tried


def test_after_each_failure_the_server_is_left_alone_for_longer_up_to_a_minute(clock: Clock) -> None:
    query, tried = failing(clock)
    for _ in range(300):
        reason(query)
        clock.now += 1
    assert [at - 1000 for at in tried] == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_meanwhile_the_reason_stays_the_same(clock: Clock) -> None:
    query, tried = failing(clock)
    assert reason(query) == reason(query)
    assert len(tried) == 1


def test_after_a_success_the_patience_begins_anew(server: FakeXproofd, query: WorkersQuery, clock: Clock) -> None:
    server.refuses = "no"
    for _ in range(5):
        reason(query)
        clock.now += 60
    server.refuses = ""
    query.read()
    server.refuses = "no"
    reason(query)
    server.refuses = ""
    clock.now += 1
    query.read()


# What is around it.


@pytest.mark.parametrize("name", ["", "a b", "a|b", "a:b:c", ":g", "näme", "a\0b", "x" * 101])
def test_what_is_not_a_user_name_is_not_sent(name: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is not a user name, or NAME:GROUP\."):
        parse_user(name)


def test_a_group_may_be_named() -> None:
    assert parse_user("alice-prod:alice") == "alice-prod:alice"


def test_the_exposition() -> None:
    with query_that_gets(HANDSHAKE_ANSWER + LOGIN_ANSWER + framed(CAPTURED)) as query:
        assert_golden("proof_network", exposition(Source("proof_network", query.read)))
