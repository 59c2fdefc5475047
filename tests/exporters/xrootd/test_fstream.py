"""The packets of xrootd's detailed monitoring, captured ones and such as no server sends."""

import struct

import pytest

from exporters.xrootd.fstream import (
    BadPacket,
    FileMoved,
    FileNamed,
    FileOpened,
    Packet,
    Record,
    ServerNamed,
    UserLeft,
    UserNamed,
    parse_fstream,
)
from tests.exporters.xrootd.fstream_packets import (
    STARTED_AT_S,
    captured,
    closed,
    files,
    left,
    moved,
    opened,
    packet,
    record,
    server,
    user,
)


def records(data: bytes) -> tuple[Record, ...]:
    return parse_fstream(data).records


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("00110-eq-ident", [ServerNamed("vm:21094")]),
        ("00112-u-login", [UserNamed(3, "root")]),
        ("00113-d-path", [FileNamed(4, "root", "/up.bin")]),
        ("00115-f-open-write", [FileOpened(4, 3, "/up.bin")]),
        ("00116-t-trace", []),
        ("00124-f-close-pgwrite", [FileMoved(4, 0, 300292972, closed=True), UserLeft(3)]),
        ("00131-f-open-read", [FileOpened(6, 5, "/up.bin")]),
        ("00267-f-open+xfr-read", [FileOpened(10, 9, "/up.bin"), FileMoved(10, 100663296, 0, closed=False)]),
        ("00268-f-xfr-read", [FileMoved(10, 184549376, 0, closed=False)]),
        ("00288-f-disc+xfr-write", [*map(UserLeft, (13, 14, 15, 16)), FileMoved(12, 0, 100663296, closed=False)]),
        ("00308-f-disc+xfr-write", [*map(UserLeft, (21, 22, 23, 24)), FileMoved(12, 0, 268435456, closed=False)]),
        ("00312-f-close-write", [FileMoved(12, 0, 300000000, closed=True), UserLeft(11)]),
        ("00360-f-first-after-restart", [UserLeft(1)]),
    ],
)
def test_a_captured_packet_is_read(name: str, expected: list[Record]) -> None:
    assert records(captured(name)) == tuple(expected)


def test_a_packet_has_its_stream_its_number_and_the_start_of_its_server() -> None:
    assert parse_fstream(captured("00116-t-trace")) == Packet(b"t", 37, STARTED_AT_S, ())


def test_the_packets_made_for_the_tests_are_those_of_a_server() -> None:
    assert records(server(34, "vm", 21094)) == records(captured("00110-eq-ident"))
    assert records(user(35, 3, "root")) == records(captured("00112-u-login"))
    assert records(files(1, opened(4, 3, "/up.bin"))) == records(captured("00115-f-open-write"))
    assert records(files(7, moved(10, 184549376))) == records(captured("00268-f-xfr-read"))
    assert records(files(2, closed(4, 0, 300292972), left(3))) == records(captured("00124-f-close-pgwrite"))


def test_reads_in_vectors_are_reads() -> None:
    assert records(files(0, moved(7, read=3, readv=4))) == (FileMoved(7, 7, 0, closed=False),)


def test_a_close_may_be_forced_and_have_fewer_or_more_statistics_behind_its_bytes() -> None:
    short, long = (record(0, 1, 7, struct.pack(">qqq", 5, 0, 6) + bytes(size)) for size in (0, 48 + 32))
    assert records(files(0, short, long)) == (FileMoved(7, 5, 6, closed=True),) * 2


def test_an_open_record_may_lack_path_and_user() -> None:
    assert records(files(0, record(1, 2, 7, bytes(8)))) == (FileOpened(7, 0, None),)


def test_a_kind_of_record_that_is_not_known_is_passed_over() -> None:
    assert records(files(0, record(5, 0, 9, b"of a later version"), left(4))) == (UserLeft(4),)


def test_a_login_may_have_dots_and_a_path_may_be_no_utf_8() -> None:
    assert records(user(0, 3, "a.b.c")) == (UserNamed(3, "a.b.c"),)
    assert records(files(0, opened(7).replace(b"a.root", b"\xff.root"))) == (
        FileOpened(7, 3, "/store/user/\ufffd.root"),
    )


def test_what_stands_behind_a_nul_in_a_map_is_no_text() -> None:
    assert records(packet("d", 0, b"\0\0\0\7xroot/bob.1:2@h\n/x\0rubbish")) == (FileNamed(7, "bob", "/x"),)


@pytest.mark.parametrize("stream", "iTUtrxpg")
def test_a_packet_of_another_stream_is_no_bad_one(stream: str) -> None:
    assert records(packet(stream, 0, b"anything")) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"f",
        b"not a packet at all",
        captured("00115-f-open-write")[:-1],
        captured("00115-f-open-write") + b"\0",
        packet("q", 0, b""),
        packet("{", 0, b""),
        packet("f", 0, bytes(5)),
        files(0, struct.pack(">BBHI", 4, 0, 0, 7)),  # a record of no length, after which the next one never comes
        files(0, struct.pack(">BBHI", 4, 0, 7, 7)),
        files(0, struct.pack(">BBHI", 4, 0, 9, 7)),
        files(0, record(3, 0, 7, bytes(23))),
        files(0, record(0, 0, 7)),
        files(0, record(1, 1, 7, bytes(8))),
        files(0, record(1, 1, 7, bytes(12) + b"/path without an end")),
        files(0, moved(7, read=-1)),
        files(0, moved(7, readv=-1)),
        files(0, moved(7, written=-1)),
        packet("u", 0, b""),
        packet("u", 0, b"\0\0\0\7"),
        packet("u", 0, b"\0\0\0\7nobody at all"),
        packet("u", 0, b"\0\0\0\7xroot/alice.1:2@host" + b" " * 5000),
        packet("d", 0, b"\0\0\0\7\n/path"),
        packet("=", 0, b"\0\0\0\0=/xrootd@vm"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(BadPacket):
        parse_fstream(data)
