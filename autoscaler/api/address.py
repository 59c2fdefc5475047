"""Where the API listens. The controller opens it, so that what is wrong with it ends the start."""

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

from autoscaler.config.api_section import ApiSection

# A controller that was killed leaves an API that needs a moment to find out.
TAKEN_S = 3.0


class ApiError(Exception):
    """The API cannot be served; the message says why."""


@contextmanager
def listening_on(api: ApiSection) -> Iterator[socket.socket]:
    """Listen on the API's address while the ``with`` block runs. Raises ``ApiError``."""
    if api.listen is None:
        raise ApiError("api.listen is not set")
    check_certificate(api)
    host, port = api.listen
    try:
        listening = _listening(host, port)
    except OSError as error:
        raise ApiError(f"api.listen: {host}:{port}: {error.strerror}") from None
    with listening:
        yield listening


def refused_certificate(api: ApiSection, error: OSError) -> ApiError:
    """What is wrong with the files of the certificate."""
    # OpenSSL's errors have their sentence elsewhere than the system's.
    why = error if isinstance(error, ssl.SSLError) else error.strerror
    return ApiError(f"api.tls_cert_file {api.tls_cert_file}, api.tls_key_file {api.tls_key_file}: {why}")


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until_s = time.monotonic() + TAKEN_S
    while True:
        try:
            return socket.create_server((host, port), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until_s:
                raise
            time.sleep(0.1)


def check_certificate(api: ApiSection) -> None:
    """Load the certificate and its key, where TLS is spoken; raises ``ApiError``."""
    if api.tls_cert_file is None:
        return
    try:
        # Nobody is there to be asked for the password of a key.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(api.tls_cert_file, api.tls_key_file, password="")
    except OSError as error:
        raise refused_certificate(api, error) from None
