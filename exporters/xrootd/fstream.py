"""The packets of xrootd's detailed monitoring, as far as they tell who moves how many bytes of which file.

They come by UDP from ``xrootd.monitor all fstat 10s lfn ops xfr 1 ident 30s dest fstat user ADDR:PORT``. The layout is
that of XRootD 5: src/XrdXrootd/XrdXrootdMonData.hh, and "Detailed monitoring" in the XRootD monitoring reference; all
numbers are big endian. There is no authentication and no checksum: whatever is not built as it should is refused whole.
"""

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

HEADER = struct.Struct(">cBHI")
RECORD = struct.Struct(">BBHI")
BYTES = struct.Struct(">qqq")
NUMBER = struct.Struct(">I")

FILES = b"f"
SERVER = b"="
USER = b"u"
PATH = b"d"

PLUGINS = b"g"

# Streams and maps which say nothing about files' bytes: application information, tokens, experiments, traces,
# redirections, staging, purging, and what plug-ins send.
IGNORED = frozenset((b"i", b"T", b"U", b"t", b"r", b"x", b"p", PLUGINS))

# What XrdXrootdMonFileHdr calls recType; the others (the times of a packet, and what later versions add) are passed by.
CLOSE, OPEN, TRANSFER, DISCONNECT = 0, 1, 3, 4
HAS_PATH = 1

# Of an open record: after its header, and the size of the file, stands the user; then the path, up to a NUL.
USER_OFFSET = RECORD.size + 8
PATH_OFFSET = USER_OFFSET + NUMBER.size

# A server reserves 1280 bytes for the text of a map.
MAX_TEXT_BYTES = 4096
MAX_NAME_CHARACTERS = 256

# proto/login.pid:number@host, where a login may have dots.
WHO = re.compile(r"[^/\n]*/(?P<login>[^\n:]*)\.[0-9]+:[0-9]+@(?P<host>[^\n]*)")


class BadPacket(ValueError):  # noqa: N818 - named after what it is about
    """A datagram that is no packet of xrootd's detailed monitoring."""


class ServerNamed(NamedTuple):
    """The server says who it is: ``host:port``, as in its summary reports."""

    server: str


class UserNamed(NamedTuple):
    """Somebody has logged in. ``login`` is what the client calls itself: nobody has authenticated it."""

    user_id: int
    login: str


class FileNamed(NamedTuple):
    """A file has just been opened (sent for ``files`` monitoring, besides :class:`FileOpened`)."""

    file_id: int
    login: str
    path: str


class FileOpened(NamedTuple):
    """A file has been opened; ``user_id`` is 0 and ``path`` None where the server does not tell."""

    file_id: int
    user_id: int
    path: str | None


class FileMoved(NamedTuple):
    """How many bytes of a file have been read and written since it was opened; ``closed`` = these are all."""

    file_id: int
    read_bytes: int
    written_bytes: int
    closed: bool


class UserLeft(NamedTuple):
    """A client has disconnected, after all its files have been closed."""

    user_id: int


Record = ServerNamed | UserNamed | FileNamed | FileOpened | FileMoved | UserLeft


class Packet(NamedTuple):
    """One packet: which of the streams it belongs to, its number in it (0 to 255, then again 0), and what it says.

    ``started_at_s`` is when the server started, in seconds since the epoch: another number is another process.
    """

    stream: bytes
    number: int
    started_at_s: int
    records: tuple[Record, ...]


def parse_fstream(packet: bytes) -> Packet:
    """Read a packet of detailed monitoring; raises :class:`BadPacket` for anything else."""
    try:
        stream, number, length, started_at_s = HEADER.unpack_from(packet)
        if length != len(packet):
            raise BadPacket("the packet has not the length it says")
        return Packet(stream, number, started_at_s, _records(stream, packet))
    except struct.error as error:
        raise BadPacket("the packet is too short") from error


def _records(stream: bytes, packet: bytes) -> tuple[Record, ...]:
    if stream == FILES:
        return tuple(_file_records(packet))
    if read_map := MAPS.get(stream):
        return (read_map(packet),)
    if stream in IGNORED:
        return ()
    raise BadPacket("the packet belongs to no stream there is")


def _file_records(packet: bytes) -> list[Record]:
    records: list[Record] = []
    offset, end = HEADER.size, len(packet)
    while offset < end:
        kind, flags, size, number = RECORD.unpack_from(packet, offset)
        if size < RECORD.size or offset + size > end:
            raise BadPacket("a record has a size that cannot be")
        if kind == OPEN:
            records.append(_opened(packet[offset : offset + size], flags, number))
        elif kind in (TRANSFER, CLOSE):
            records.append(_moved(packet[offset : offset + size], number, closed=kind == CLOSE))
        elif kind == DISCONNECT:
            records.append(UserLeft(number))
        offset += size
    return records


def _opened(record: bytes, flags: int, file_id: int) -> FileOpened:
    if not flags & HAS_PATH:
        return FileOpened(file_id, 0, None)
    (user_id,) = NUMBER.unpack_from(record, USER_OFFSET)
    path, nul, _ = record[PATH_OFFSET:].partition(b"\0")
    if not nul:
        raise BadPacket("the path of a file does not end")
    return FileOpened(file_id, user_id, path.decode(errors="replace"))


def _moved(record: bytes, file_id: int, *, closed: bool) -> FileMoved:
    read, read_in_vectors, written = BYTES.unpack_from(record, RECORD.size)
    if read < 0 or read_in_vectors < 0 or written < 0:
        raise BadPacket("a file has moved less than nothing")
    return FileMoved(file_id, read + read_in_vectors, written, closed)


def _map(packet: bytes) -> tuple[int, re.Match[str], str]:
    """Return the number that a map explains, who it is about, and what follows in the second line."""
    if len(packet) > MAX_TEXT_BYTES:
        raise BadPacket("the text of a map is too long")
    (number,) = NUMBER.unpack_from(packet, HEADER.size)
    text, _, _ = packet[HEADER.size + NUMBER.size :].partition(b"\0")
    who, _, more = text.decode(errors="replace").partition("\n")
    found = WHO.fullmatch(who)
    if found is None:
        raise BadPacket("a map does not say whom it is about")
    return number, found, more


def _server_named(packet: bytes) -> ServerNamed:
    _, who, more = _map(packet)
    properties = dict(part.partition("=")[::2] for part in more.split("&"))
    return ServerNamed(f"{who['host']}:{properties.get('port', '')}"[:MAX_NAME_CHARACTERS])


def _user_named(packet: bytes) -> UserNamed:
    number, who, _ = _map(packet)
    return UserNamed(number, who["login"][:MAX_NAME_CHARACTERS])


def _file_named(packet: bytes) -> FileNamed:
    number, who, path = _map(packet)
    return FileNamed(number, who["login"][:MAX_NAME_CHARACTERS], path)


MAPS: dict[bytes, Callable[[bytes], Record]] = {SERVER: _server_named, USER: _user_named, PATH: _file_named}
