"""Receiving datagrams: a thread that hands each one to a function, and never ends before it is told to.

UDP has no authentication and no flow control. So whatever a datagram does to the function is counted, and the socket
gets a large buffer for bursts; what did not fit into it is counted by the kernel.
"""

import logging
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from exporters.serving import Address, cannot_listen

log = logging.getLogger(__name__)

# No datagram is longer: the length field of UDP has 16 bits.
MAX_DATAGRAM_BYTES = 65535

# About a second of 5000 reports per second. The kernel grants no more than its setting net.core.rmem_max.
RECEIVE_BUFFER_BYTES = 16 * 2**20

# getsockopt(SO_MEMINFO) since Linux 4.12, include/uapi/linux/sock_diag.h: nine 32-bit numbers, the last one is
# SK_MEMINFO_DROPS. The socket module does not know it.
SO_MEMINFO = 55
MEMINFO = struct.Struct("=9I")

# A datagram, and the address of its sender as the socket module gives it: (host, port), for IPv6 two more.
Take = Callable[[bytes, tuple[Any, ...]], None]


class UdpReceiver:
    """Hands each datagram that arrives at ``address`` to ``take``, in a thread, until :meth:`close`.

    ``take`` is called by that one thread only and should be quick. What it raises is counted in ``faults`` and logged
    once; ``received`` counts the datagrams. Both start at 0. ``address`` becomes the bound one (port 0 = any free one).
    Raises :class:`OSError` if it cannot be bound.
    """

    def __init__(self, address: Address, take: Take) -> None:
        self.received = 0
        self.faults = 0
        self._take = take
        self._socket = _bound_socket(address)
        self.address = Address(address.host, self._socket.getsockname()[1])
        self._stopping, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._receive, name=f"udp-{self.address.port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop receiving and give the address back."""
        self._stop.close()
        self._thread.join()
        self._stopping.close()
        self._socket.close()

    def dropped(self) -> int | None:
        """Return how many datagrams the kernel dropped as the buffer was full; None where it does not tell."""
        try:
            answer = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
        except OSError:
            return None
        return int(MEMINFO.unpack(answer)[-1]) if len(answer) == MEMINFO.size else None

    def _receive(self) -> None:
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        waiting.register(self._stopping, select.POLLIN)
        while True:
            ready = [descriptor for descriptor, _ in waiting.poll()]
            if self._stopping.fileno() in ready:
                return
            # One datagram more per call would be a system call more each; a thousand still leave room to be stopped.
            with suppress(BlockingIOError):
                for _ in range(1000):
                    self._receive_one()

    def _receive_one(self) -> None:
        try:
            datagram, sender = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
        except BlockingIOError:
            raise
        except OSError as error:  # as ENOMEM: the next one may come through
            self._count_fault(error)
            return
        self.received += 1
        try:
            self._take(datagram, sender)
        except Exception as error:  # noqa: BLE001 - a stranger's datagram must not end the reception of all others
            self._count_fault(error)

    def _count_fault(self, error: Exception) -> None:
        self.faults += 1
        if self.faults == 1:
            log.error("UDP %s: unexpected %s: %s", self.address, type(error).__name__, error)


def _bound_socket(address: Address) -> socket.socket:
    family, kind, protocol, _, bind_to = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    receiver = socket.socket(family, kind, protocol)
    try:
        receiver.settimeout(0)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        receiver.bind(bind_to)
    except OSError:
        receiver.close()
        raise
    return receiver


@contextmanager
def receiving(what: str, address: Address, take: Take) -> Iterator[UdpReceiver]:
    """Receive while the ``with`` block lasts; ``what`` is for the error, as "UDP reports".

    Raises :class:`click.ClickException` if ``address`` cannot be bound.
    """
    try:
        receiver = UdpReceiver(address, take)
    except OSError as error:
        raise cannot_listen(what, address, error) from error
    try:
        yield receiver
    finally:
        receiver.close()
