"""The formats of xproofd's files, one by one, and whether a process lives."""

import subprocess
from collections.abc import Iterator

import pytest

from exporters.proof.admin_area import Role, is_alive, parse_integer, parse_role, parse_session_pid


@pytest.mark.parametrize(
    ("name", "pid"),
    [
        ("ganis.alice.4711", 4711),
        ("j.doe.default.12", 12),
        ("ganis.alice.4711.status", None),
        ("ganis.4711", None),
        (".alice.4711", None),
        ("ganis.alice.", None),
        ("ganis.alice.99999999999", None),
        ("README", None),
    ],
)
def test_the_pid_is_in_the_file_name_after_user_and_group(name: str, pid: int | None) -> None:
    assert parse_session_pid(name) == pid


@pytest.mark.parametrize(
    ("body", "role"),
    [
        (b"u g\n/sock\n4711 1 2\n0 tag \n/log\n32 5.28/00\n", Role.MASTER),
        (b"u g\n/sock\n4711 1 2 0\n0 tag \n/log\n32 5.24/00\n", Role.MASTER),
        (b"u g\n/sock\n4711 1 1\n0.1 tag \n/log\n32 5.28/00\n", Role.SUBMASTER),
        (b"u g\n/sock\n4711 1 0\n0.1 tag \n/log\n32 5.28/00\n", Role.WORKER),
        (b"", Role.STARTING),
        (b"\xff\x00", Role.UNKNOWN),
        (b"u g\n/sock\n4711 1\n", Role.UNKNOWN),
        (b"u g\n/sock\n4711 1 7\n", Role.UNKNOWN),
    ],
)
def test_line_3_of_the_session_file_says_what_it_is(body: bytes, role: Role) -> None:
    assert parse_role(body) is role


@pytest.mark.parametrize(
    ("content", "integer"),
    [(b"0", 0), (b"00", 0), (b"3\n", 3), (b"", None), (b"-1", None), (b"1_0", None), (b"9" * 5000, None)],
)
def test_a_status_file_holds_one_integer(content: bytes, integer: int | None) -> None:
    assert parse_integer(content) == integer


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


def test_a_process_is_alive_until_it_is_gone(child: "subprocess.Popen[bytes]") -> None:
    assert is_alive(child.pid)
    child.kill()
    child.wait()
    assert not is_alive(child.pid)


def test_another_users_process_is_alive() -> None:
    assert is_alive(1)


def test_pid_0_is_no_process() -> None:
    assert not is_alive(0)  # kill(0, 0) would ask about our own process group
