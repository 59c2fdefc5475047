"""The formats of xproofd's files, one by one."""

import pytest

from exporters.proof.formats import Role, SessionName, parse_integer, parse_role, parse_session_name


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("ganis.alice.4711", SessionName("ganis", "alice", 4711)),
        ("j.doe.default.12", SessionName("j.doe", "default", 12)),
        ("a.b.c.d.1", SessionName("a.b.c", "d", 1)),
        ("ganis.alice.4711.status", None),
        ("ganis.alice.4711.sock", None),
        ("ganis.4711", None),
        (".alice.4711", None),
        ("ganis..4711", None),
        ("ganis.alice.", None),
        ("ganis.alice.99999999999", None),
        ("README", None),
    ],
)
def test_user_group_and_pid_are_in_the_file_name(name: str, parsed: SessionName | None) -> None:
    assert parse_session_name(name) == parsed


def test_a_name_that_is_not_utf8_becomes_one_that_an_exposition_can_hold() -> None:
    assert parse_session_name(b"g\xfcnther.a.1".decode(errors="surrogateescape")) == SessionName("g?nther", "a", 1)


@pytest.mark.parametrize(
    ("body", "role"),
    [
        (b"u g\n/sock\n4711 1 2\n0 tag \n/log\n32 5.28/00\n", Role.MASTER),
        (b"u g\n/sock\n4711 1 2 0\n0 tag \n/log\n32 5.24/00\n", Role.MASTER),
        (b"u g\n/sock\n4711 1 1\n0.1 tag \n/log\n32 5.28/00\n", Role.SUBMASTER),
        (b"u g\n/sock\n4711 1 0\n0.1 tag \n/log\n32 5.28/00\n", Role.WORKER),
        (b"u g\n/sock\n4711 1 0 1\n0.1 tag \n/log\n32 5.22/00\n", Role.WORKER),
        (b"", Role.STARTING),
        (b"\xff\x00", Role.UNKNOWN),
        (b"u g\n/sock\n", Role.UNKNOWN),
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
