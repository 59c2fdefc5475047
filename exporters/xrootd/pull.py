"""Whether xrootd servers answer: the first 20 bytes of the protocol, over TCP, and what the server says to them.

This is all that is pulled. The servers can also be asked for their statistics (``xrdfs HOST query stats``), but what
they answer is not the throughput: XRootD 5.5 adds the bytes of a connection when that connection is closed, or when a
summary report is made. Pulled figures are a flat line and then a spike; the summary reports have them in time. Besides,
every such question is a login and a connection's worth of bytes in the very figures that are asked for.

The handshake needs no login. It costs the server one connection (in its total), 20 bytes received and 16 sent.
The format is that of "The XRootD protocol", version 5, section "Initial handshake"; checked with XRootD 5.5.3.
"""

import logging
import struct
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import asdict, dataclass

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from exporters.serving import Address
from exporters.sockets import connected, left_s, receive

log = logging.getLogger(__name__)

# A server that lives answers within milliseconds; one that hangs must not use up the time of the scrape.
TIMEOUT_S = 3.0

HANDSHAKE = struct.pack(">5i", 0, 0, 0, 4, 2012)

# The stream (none yet), the status, the length of what follows, the version of the protocol, and the role.
ANSWER = struct.Struct(">HHIII")
ROLES = {0: "redirector", 1: "server"}

# Half a byte each for minor version and patch (kXR_PROTOCOLVERSION), and no major version has needed two digits.
HIGHEST_VERSION = 0xFFF


class BadAnswer(ValueError):  # noqa: N818 - named after what it is about
    """What answers does not speak the xrootd protocol."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says to the handshake: the version of its protocol, as "5.1.1", and "server" or "redirector"."""

    protocol: str
    role: str


def parse_answer(answer: bytes) -> Answer:
    """Read the 16 bytes that answer the handshake; raises :class:`BadAnswer` for anything else."""
    if len(answer) != ANSWER.size:
        raise BadAnswer("it closed the connection within the handshake")
    stream, status, length, version, role = ANSWER.unpack(answer)
    if (stream, status, length) != (0, 0, 8) or role not in ROLES or not 0 < version <= HIGHEST_VERSION:
        raise BadAnswer("it does not speak the xrootd protocol")
    return Answer(".".join(f"{version:03x}"), ROLES[role])


def shake_hands(server: Address, timeout_s: float = TIMEOUT_S) -> Answer:
    """Connect, shake hands and close; raises :class:`OSError` and :class:`BadAnswer`.

    ``timeout_s`` is for all of it in seconds, except that the look-up of a name takes as long as the resolver lets it.
    """
    until_s = time.monotonic() + timeout_s
    with connected(server, until_s) as connection:
        connection.settimeout(left_s(until_s))
        connection.sendall(HANDSHAKE)
        try:
            answer = receive(connection, ANSWER.size, until_s)
        except ConnectionResetError:
            answer = b""
    return parse_answer(answer)


@dataclass(frozen=True, slots=True)
class Liveness:
    """One server's answer and how long it took in seconds; without an answer, why there is none."""

    answer: Answer | None
    duration_s: float = 0.0
    reason: str = ""


class Pull:
    """Shakes hands with ``servers``, all at the same time.

    A server whose last handshake is still on its way is not asked a second time: it is down. ``shake`` is
    :func:`shake_hands`, ``timer`` gives seconds from any start.
    """

    def __init__(
        self,
        servers: Iterable[Address],
        shake: Callable[[Address], Answer] = shake_hands,
        timer: Callable[[], float] = time.perf_counter,
        timeout_s: float = TIMEOUT_S + 1,
    ) -> None:
        self._servers: Sequence[Address] = tuple(dict.fromkeys(servers))
        self._shake = shake
        self._timer = timer
        self._timeout_s = timeout_s
        self._asking: dict[Address, Future[Liveness]] = {}
        self._down: set[Address] = set()

    def read(self) -> list[Metric]:
        """Return whether each server answers; that none does is an answer too, and so this never raises."""
        hanging = {server for server, asking in self._asking.items() if not asking.done()}
        for server in self._servers:
            if server not in hanging:
                self._asking[server] = self._ask(server)
        wait([asking for server, asking in self._asking.items() if server not in hanging], self._timeout_s)
        found = {server: self._result(server, hung=server in hanging) for server in self._servers}
        self._log(found)
        return list(pull_metrics(found))

    def _ask(self, server: Address) -> Future[Liveness]:
        # Not a pool: it would make the exporter wait at its end for a resolver that hangs.
        asking: Future[Liveness] = Future()
        threading.Thread(
            target=lambda: asking.set_result(self._liveness(server)), name=f"pull-{server}", daemon=True
        ).start()
        return asking

    def _liveness(self, server: Address) -> Liveness:
        begun = self._timer()
        try:
            return Liveness(self._shake(server), self._timer() - begun)
        except OSError as error:
            return Liveness(None, reason=error.strerror or str(error))
        except Exception as error:  # noqa: BLE001 - BadAnswer, a name that cannot be one; a lost thread would hang for ever
            return Liveness(None, reason=str(error))

    def _result(self, server: Address, *, hung: bool) -> Liveness:
        asking = self._asking[server]
        return asking.result() if asking.done() and not hung else Liveness(None, reason="timed out")

    def _log(self, found: dict[Address, Liveness]) -> None:
        for server, liveness in found.items():
            if liveness.answer is None and server not in self._down:
                log.warning("xrootd_pull: %s does not answer: %s", server, liveness.reason)
            elif liveness.answer is not None and server in self._down:
                log.info("xrootd_pull: %s answers again", server)
        self._down = {server for server, liveness in found.items() if liveness.answer is None}


def pull_metrics(found: dict[Address, Liveness]) -> Iterable[Metric]:
    """Return the metrics of what was found; how long an answer took, and what it was, only where there is one."""
    up = GaugeMetricFamily("xrootd_pull_server_up", "1 if the server answers the handshake.", labels=("server",))
    help_text = "How long connection and handshake took, in seconds."
    duration = GaugeMetricFamily("xrootd_pull_duration_seconds", help_text, labels=("server",))
    help_text = "The version of the server's protocol, and its role."
    info = InfoMetricFamily("xrootd_pull_server", help_text, labels=("server",))
    for server, liveness in found.items():
        up.add_metric((str(server),), liveness.answer is not None)
        if liveness.answer is not None:
            duration.add_metric((str(server),), liveness.duration_s)
            info.add_metric((str(server),), asdict(liveness.answer))
    return up, duration, info
