"""Packets of detailed monitoring as a server would send them; the captured ones show that the layout is right."""

import struct
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "samples" / "xrootd" / "fstream"
STARTED_AT_S = 1_795_345_857
SENDER = ("192.0.2.7", 44819)


def captured(name: str) -> bytes:
    """Return a packet of XRootD 5.5.3."""
    return (SAMPLES / f"{name}.bin").read_bytes()


def packet(stream: str, number: int, content: bytes, started_at_s: int = STARTED_AT_S) -> bytes:
    return struct.pack(">cBHI", stream.encode(), number % 256, 8 + len(content), started_at_s) + content


def record(kind: int, flags: int, number: int, content: bytes = b"") -> bytes:
    return struct.pack(">BBHI", kind, flags, 8 + len(content), number) + content


TIME = record(2, 1, 0, struct.pack(">IIQ", STARTED_AT_S + 100, STARTED_AT_S + 102, 0x224AB))


def opened(file_id: int, user_id: int = 3, path: str = "/store/user/a.root") -> bytes:
    return record(1, 1, file_id, struct.pack(">QI", 300, user_id) + path.encode() + b"\0\0\0")


def moved(file_id: int, read: int = 0, written: int = 0, readv: int = 0) -> bytes:
    return record(3, 0, file_id, struct.pack(">qqq", read, readv, written))


def closed(file_id: int, read: int = 0, written: int = 0, readv: int = 0, forced: int = 0) -> bytes:
    return record(0, 2 | forced, file_id, struct.pack(">qqq", read, readv, written) + bytes(48))


def left(user_id: int) -> bytes:
    return record(4, 0, user_id)


def files(number: int, *records: bytes, started_at_s: int = STARTED_AT_S) -> bytes:
    return packet("f", number, TIME + b"".join(records), started_at_s)


def user(number: int, user_id: int, login: str = "alice", started_at_s: int = STARTED_AT_S) -> bytes:
    text = f"xroot/{login}.31461:268224569942699@127.0.0.1\n&R=v5.5.3&x=xrdcp&y=&I=4"
    return packet("u", number, struct.pack(">I", user_id) + text.encode(), started_at_s)


def path(number: int, file_id: int, login: str = "alice", name: str = "/store/user/a.root") -> bytes:
    text = f"xroot/{login}.31461:268224569942699@127.0.0.1\n{name}"
    return packet("d", number, struct.pack(">I", file_id) + text.encode())


def server(number: int, host: str = "vm", port: int = 1094, started_at_s: int = STARTED_AT_S) -> bytes:
    text = f"=/xrootd.19996:268224569942699@{host}\n&site=&port={port}&inst=feas&pgm=xrootd&ver=v5.5.3"
    return packet("=", number, bytes(4) + text.encode(), started_at_s)
