"""The formats of xproofd's files: names, bodies and numbers, of ROOT 5.22 to 6.

XrdProofdProofServMgr.cxx (SaveToFile), XrdProofdAux.cxx (ParsePidPath), XrdProofdProofServ.cxx and TProofServ.cxx write
and read them. Whatever the bytes are, each function gives an answer or None.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

SESSION_NAME = re.compile(r"(?P<user>.+)\.(?P<group>[^.]+)\.(?P<pid>[0-9]{1,9})", re.DOTALL)
INTEGER = re.compile(rb"[0-9]{1,9}")


class Role(StrEnum):
    """What a session is; ``STARTING`` while its file is still empty, ``UNKNOWN`` if the file makes no sense."""

    MASTER = "master"
    SUBMASTER = "submaster"
    WORKER = "worker"
    STARTING = "starting"
    UNKNOWN = "unknown"


ROLE_OF_SERVICE_TYPE = {b"2": Role.MASTER, b"1": Role.SUBMASTER, b"0": Role.WORKER}


@dataclass(frozen=True, slots=True)
class SessionName:
    """Whose session a file is about, and its process id; both names are valid Unicode, whatever the file system has."""

    user: str
    group: str
    pid: int


def parse_session_name(name: str) -> SessionName | None:
    """Read ``<user>.<group>.<pid>``, the name of a session file; None for any other file.

    The user may contain dots, the group may not; it is there even where no groups are configured ("default").
    """
    match = SESSION_NAME.fullmatch(name)
    if match is None:
        return None
    # Bytes that are no UTF-8 come from os.scandir as lone surrogates, which no exposition can hold.
    user, group = (match[part].encode(errors="replace").decode() for part in ("user", "group"))
    return SessionName(user, group, int(match["pid"]))


def parse_role(body: bytes) -> Role:
    """Return what the body of a session file says: line 3 is ``pid id srvtype``.

    ROOT 5.22 and 5.24 write a fourth integer, the status. It is that of the start and never rewritten: it is not read.
    """
    if not body:
        return Role.STARTING
    numbers = b"".join(body.split(b"\n", 3)[2:3]).split()
    return ROLE_OF_SERVICE_TYPE.get(b"".join(numbers[2:3]), Role.UNKNOWN)


def parse_integer(content: bytes) -> int | None:
    """Return the integer a status or pid file holds ("00" is 0), None if it holds anything else."""
    stripped = content.strip()
    return int(stripped) if INTEGER.fullmatch(stripped) else None
