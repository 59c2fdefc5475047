"""The stand-in for xproofd answers and writes what a real xproofd of ROOT 5.28 was seen to answer and write."""

import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.testbed.fake_xproofd import FakeXproofd, Worker
from tests.testbed.processes import wait_until
from tests.testbed.proof_area import ProofArea, ServerType, Status

DEADLINE_S = 60

HANDSHAKE = bytes.fromhex("00000000 00000000 00000001 00000000 00000000 00000004 000007dc")
QUERY_SESSIONS = bytes.fromhex("0001 0c29 00000000 000003e8 00000000 00000000 00000000")
QUERY_WORKERS = bytes.fromhex("0001 0c29 00000000 000003ec 00000000 00000000 00000000")
STAMP = r"[0-9]{6} [0-9]{2}:[0-9]{2}:[0-9]{2} 17945 xpd-I: "


def login(user: bytes = b"ganis", pid: int = 4711) -> bytes:
    return b"\0\1\x0c\x1d" + struct.pack(">i8s", pid, user) + struct.pack("=h", 36) + b"\xffA" + bytes(4)


@pytest.fixture
def xproofd(scratch: Path, proof_area: ProofArea) -> Iterator[FakeXproofd]:
    with FakeXproofd(log=scratch / "xproofd.log", area=proof_area) as xproofd:
        yield xproofd


@pytest.fixture
def link(xproofd: FakeXproofd) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", xproofd.port), 30) as link:
        yield link


def receive(link: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = link.recv(length - len(data))
        assert piece, "the connection was closed"
        data += piece
    return data


def ask(link: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send a request; return the status and the data of the next message."""
    link.sendall(request)
    stream, status, length = struct.unpack(">2sHi", receive(link, 8))
    assert stream == (b"\0\0" if status == 4001 else b"\0\1")
    return status, receive(link, length)


def shake_hands(link: socket.socket) -> bytes:
    link.sendall(HANDSHAKE)
    return receive(link, 16)


def enter(link: socket.socket) -> None:
    shake_hands(link)
    assert ask(link, login()) == (0, bytes.fromhex("000003ee"))


def test_the_handshake_is_answered_with_the_version(link: socket.socket) -> None:
    assert shake_hands(link) == bytes.fromhex("00000000 00000000 000003ee 00000000")


def test_the_handshake_of_an_xrootd_client_is_not_answered(link: socket.socket) -> None:
    link.sendall(bytes.fromhex("00000000 00000000 00000000 00000004 000007dc 00000004 000007dc"))
    assert link.recv(1) == b""


def test_the_workers_are_listed_as_by_the_real_one(xproofd: FakeXproofd, link: socket.socket) -> None:
    enter(link)
    xproofd.workers = [Worker("localhost", 1, kind="M"), Worker("localhost", 1), Worker("localhost", 1)]
    status, answer = ask(link, QUERY_WORKERS)
    assert status == 0
    assert answer == (
        b"Selection: round-robin, max workers: -1 &M: localhost:1093  sessions: 1 &"
        b"W: localhost:1093  sessions: 1 &W: localhost:1093  sessions: 1 &\0"
    )


def test_the_sessions_are_those_of_the_user_on_the_master(proof_area: ProofArea, link: socket.socket) -> None:
    enter(link)
    proof_area.open_session("ganis", status=Status.RUNNING)
    proof_area.open_session("ganis", status=Status.QUEUED)
    proof_area.open_session("ganis", server_type=ServerType.WORKER)
    proof_area.open_session("alice")
    proof_area.begin_session("ganis")
    _, data = ask(link, QUERY_SESSIONS)
    assert re.fullmatch(rb"2 \| 1 localhost-\d+-\d+  1 1 \| 2 localhost-\d+-\d+  0 1\0", data)


def test_an_unasked_message_comes_before_the_answer(xproofd: FakeXproofd, link: socket.socket) -> None:
    enter(link)
    xproofd.unasked = ["hello"]
    assert ask(link, QUERY_WORKERS) == (4001, bytes.fromhex("000013f0") + b"hello\0")
    assert ask(link, b"")[0] == 0


def test_a_refusal_has_a_number_and_a_text(link: socket.socket) -> None:
    shake_hands(link)
    assert ask(link, login(b"root")) == (4003, bytes.fromhex("00000bbe") + b"username not allowed: root\0")


def test_a_login_leaves_the_folder_of_a_client(proof_area: ProofArea, link: socket.socket) -> None:
    enter(link)
    folder = proof_area.root / "clients" / "ganis.default" / "localhost.4711"
    assert [file.name for file in folder.iterdir()] == ["cid"]
    link.close()
    wait_until((folder / "disconnected").exists, DEADLINE_S, "the logout")


def test_a_connection_that_ends_takes_the_other_with_it_that_has_its_process_id(
    xproofd: FakeXproofd, link: socket.socket
) -> None:
    with socket.create_connection(("127.0.0.1", xproofd.port), 30) as other:
        enter(link)
        enter(other)
        link.shutdown(socket.SHUT_RDWR)
        assert other.recv(1) == b""


def test_the_log_has_the_lines_of_the_real_one(xproofd: FakeXproofd, link: socket.socket) -> None:
    enter(link)
    ask(link, QUERY_WORKERS)
    xproofd.check_sessions(3)
    xproofd.broadcast(3, 1)
    xproofd.dump_queue({"ganis": 2})
    written = xproofd.log.read_text()
    for text in (
        r"ganis.4711:28@localhost: ClientMgr::MapClient: user ganis logged-in; type: Admin",
        r"ganis.4711:28@localhost: Admin::Process: req id: 1004",
        r"ProofServCron: 3 sessions are currently active",
        r"ProofServMgr::BroadcastClusterInfo: tot: 3, act: 1",
        r"DumpQueues:  \+\+\+ # of waiting sessions: 1",
        r"DumpQueues:  \+\+\+ #1 client:ganis # of queries: 2",
    ):
        assert re.search(f"^{STAMP}{text}", written, re.MULTILINE), text
    assert "\n++++++ xproofd anon@localhost initialization started.\n" in written
