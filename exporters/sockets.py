"""TCP with one deadline for all of it: connecting, sending and receiving."""

import socket
import time

from exporters.serving import Address


def connected(address: Address, until_s: float) -> socket.socket:
    """Return a connection; raises :class:`OSError`, :class:`TimeoutError` when ``until_s`` has passed.

    Of several addresses of one name, each gets its share of the time that is left: one that swallows packets (IPv6
    behind a firewall that drops it) must not use up the time of the next. ``until_s`` is on the clock of
    :func:`time.monotonic`; the look-up of the name takes as long as the resolver lets it.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, where) in enumerate(found, start=1):
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(left_s(until_s) / (len(found) - number + 1))
            link.connect(where)
        except OSError:
            link.close()
            if number == len(found):
                raise
        else:
            return link
    raise OSError("the name has no address")


def left_s(until_s: float) -> float:
    """Return the seconds that are left until ``until_s``; raises :class:`TimeoutError` if there are none."""
    left = until_s - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def receive(link: socket.socket, length: int, until_s: float) -> bytes:
    """Return ``length`` bytes; raises :class:`ConnectionResetError` if the other side closes before, and OSError."""
    data = bytearray()
    while len(data) < length:
        link.settimeout(left_s(until_s))
        piece = link.recv(length - len(data))
        if not piece:
            raise ConnectionResetError("closed by the other side")
        data += piece
    return bytes(data)
