"""What systemd is told of the service, by sd_notify's protocol (one datagram); without systemd nothing is told.

systemd-python needs C headers, and sdnotify has had no release since 2017: the protocol is smaller than either.
"""

import logging
import os
import socket

_log = logging.getLogger("autoscaler")

# systemd reads at once; one that does not must not stop a cycle.
TIMEOUT_S = 1.0


def tell(*lines: str) -> None:
    """Send assignments such as ``READY=1`` together; never raises."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = "\n".join(" ".join(line.splitlines()) for line in lines)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(TIMEOUT_S)
            datagrams.connect(address)
            datagrams.sendall(message.encode())
    except OSError as error:
        _log.warning("systemd cannot be told %s: %s", lines[0], error)
