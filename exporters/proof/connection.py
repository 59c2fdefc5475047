"""A connection to xproofd: the few messages of its protocol which an exporter needs.

The layouts are those of ROOT's proof/proofd (XProofProtocol.h; XrdProofdProtocol.cxx, Match; XrdProofConn.cxx;
XrdProofdClientMgr.cxx, Login), the same from ROOT 5.18 to 6: big-endian but for one field. The role of an
administrator is never asked to authenticate, and may ask but not start anything.
"""

import re
import secrets
import socket
import struct

import click

from exporters.serving import Address, SourceUnavailable
from exporters.sockets import left_s, receive

# The third number tells xproofd from xrootd, whose handshake is else the same; xproofd wants the last two at once.
HANDSHAKE = struct.pack(">7i", 0, 0, 1, 0, 0, 4, 2012)
HANDSHAKE_ANSWER = struct.Struct(">4i")
REQUEST = struct.Struct(">2sH16si")
ANSWER = struct.Struct(">2sHi")

STREAM = b"\0\1"
LOGIN, ADMIN = 3101, 3113
OK, ATTENTION, MORE_AUTHENTICATION, ERROR = 0, 4001, 4002, 4003
PROOF_PROTOCOL = 36
ANY_CAPABILITY, ADMINISTRATOR = b"\xff", b"A"
FIELD_BYTES = 8
NAME_FOLLOWS = b"?>buf"

# A worker takes about 50 bytes in an answer; whoever sends this much is not going to say anything useful.
MAX_BYTES_PER_QUESTION = 1 << 20
MAX_ERROR_CHARACTERS = 200

# Linux gives no process an id from here on (PID_MAX_LIMIT).
FIRST_FREE_PID, LAST_PID = 1 << 22, (1 << 31) - 1

USER = re.compile(r"[A-Za-z0-9_.-]{1,100}(:[A-Za-z0-9_.-]{1,100})?")


def parse_user(text: str) -> str:
    """Return the NAME or NAME:GROUP to log in with; raises :class:`click.BadParameter` for anything else."""
    if not USER.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not a user name, or NAME:GROUP.")
    return text


def new_pid() -> int:
    """Return the process id to log in with: no process has it, no other connection had it.

    xproofd knows clients by host and process id, and when one leaves it takes away what belongs to that id: a user's
    session if the id is that of a user's client, and the new connection if it still has the id of a lost one. Hence
    not our own id, which may be that of another one in its container, but a random one beyond all real ids.
    """
    return FIRST_FREE_PID + secrets.randbelow(LAST_PID - FIRST_FREE_PID + 1)


def login_request(user: str, pid: int) -> bytes:
    """Return the request to log in; the number of PROOF's protocol goes in the order of this host's bytes."""
    name, data = user.encode(), b""
    if len(name) > FIELD_BYTES:
        name, data = NAME_FOLLOWS, b"|usr:" + name + b"|\0"
    body = struct.pack(">i8s", pid, name) + struct.pack("=h", PROOF_PROTOCOL) + ANY_CAPABILITY + ADMINISTRATOR
    return REQUEST.pack(STREAM, LOGIN, body, len(data)) + data


def admin_request(question: int) -> bytes:
    """Return the request that asks one of the kQuery... questions of XProofProtocol.h."""
    return REQUEST.pack(STREAM, ADMIN, struct.pack(">4i", 0, question, 0, 0), 0)


class Connection:
    """A connection over which xproofd can be asked.

    The methods raise :class:`ConnectionError` when it is lost, :class:`TimeoutError` when ``until_s`` (on the clock of
    :func:`time.monotonic`) has passed, and :class:`SourceUnavailable` for an answer that is none or a refusal.
    """

    def __init__(self, link: socket.socket, address: Address) -> None:
        self._link = link
        self._who = f"xproofd at {address}"
        self._until_s = 0.0
        self._budget = 0

    def log_in(self, user: str, until_s: float) -> None:
        """Shake hands and log in as ``user``."""
        self._begin(until_s)
        self._send(HANDSHAKE)
        first, second, version, last = HANDSHAKE_ANSWER.unpack(self._receive(HANDSHAKE_ANSWER.size))
        if (first, second, last) != (0, 0, 0) or version <= 0:
            raise SourceUnavailable(f"{self._who} does not answer as xproofd does; does --tcp lead to its port?")
        self._send(login_request(user, new_pid()))
        if len(self._answer()) > struct.calcsize(">i"):
            raise self._unauthenticated()

    def ask(self, question: int, until_s: float) -> bytes:
        """Ask one of the kQuery... questions and return the data of the answer."""
        self._begin(until_s)
        self._send(admin_request(question))
        return self._answer()

    def close(self) -> None:
        """Leave; xproofd takes a closed connection for a logout."""
        self._link.close()

    def _begin(self, until_s: float) -> None:
        self._until_s, self._budget = until_s, MAX_BYTES_PER_QUESTION

    def _answer(self) -> bytes:
        while True:
            stream, status, length = ANSWER.unpack(self._receive(ANSWER.size))
            data = self._receive(length)
            # News of the cluster and messages to users come unasked, also in front of an answer.
            if status != ATTENTION:
                return self._checked(stream, status, data)

    def _checked(self, stream: bytes, status: int, data: bytes) -> bytes:
        if status == ERROR:
            raise self._refusal(data)
        if status == MORE_AUTHENTICATION:
            raise self._unauthenticated()
        if status != OK or stream != STREAM:
            raise SourceUnavailable(f"{self._who} gave an answer that does not belong to the question")
        return data

    def _refusal(self, data: bytes) -> SourceUnavailable:
        number, text = data[:4], data[4:].partition(b"\0")[0].decode("ascii", "replace")
        printable = "".join(character for character in text if character.isprintable())[:MAX_ERROR_CHARACTERS]
        return SourceUnavailable(f"{self._who} refuses: {printable} (error {int.from_bytes(number, signed=True)})")

    def _unauthenticated(self) -> SourceUnavailable:
        return SourceUnavailable(f"{self._who} asks for authentication, which it should not ask an administrator for")

    def _send(self, data: bytes) -> None:
        self._link.settimeout(left_s(self._until_s))
        self._link.sendall(data)

    def _receive(self, length: int) -> bytes:
        if not 0 <= length <= self._budget:
            raise SourceUnavailable(f"{self._who} sends more than an answer can have, or less than nothing")
        self._budget -= length
        return receive(self._link, length, self._until_s)
