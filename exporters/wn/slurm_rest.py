"""slurmrestd, Slurm over HTTP (rest_api, https://slurm.schedmd.com/rest.html), through TCP, TLS or a UNIX socket.

It answers in the same JSON as the commands. Measured with 22.05: no token, or none for its user, is 401; a wrong token
and a slurmctld that is down are both 500, with the same words; another version of the API is 404.
"""

import binascii
import re
import socket
import time
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from io import BytesIO
from pathlib import Path
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exporters.serving import SourceUnavailable

MOST_BYTES = 2**29
CHUNK_BYTES = 2**16
LONGEST_TOKEN = 2**14
LONGEST_MESSAGE = 300
VERSION = re.compile(r"v0\.0\.[0-9]{1,4}")

# The variable that `scontrol token` prints the token for.
VARIABLE = "SLURM_JWT="
ONE_WORD = re.compile(r"[\x21-\x7e]+")


class BadUrl(ValueError):  # noqa: N818 - named after what it is about
    """It does not name a slurmrestd."""


@dataclass(frozen=True, slots=True)
class RestServer:
    """A slurmrestd: ``url`` is http://HOST:PORT, https://HOST:PORT or unix:///PATH, ``version`` that of its API.

    The token file is read anew each time, since tokens expire; without one, slurmrestd must know the exporter's user
    by itself (rest_auth/local).
    """

    url: str
    version: str
    timeout_s: float
    token_file: Path | None = None

    def get(self, what: str) -> bytes:
        """Return the document of "jobs" or "nodes"; raises :class:`SourceUnavailable`."""
        headers = {"Accept": "application/json", **self._identity()}
        deadline = time.monotonic() + self.timeout_s
        connection = connection_to(self.url, self.timeout_s)
        try:
            connection.request("GET", f"/slurm/{self.version}/{what}", headers=headers)
            with connection.getresponse() as response:
                status, body = response.status, _read(response, deadline)
        except SSLCertVerificationError as error:
            raise SourceUnavailable(f"the certificate of {self._name} is not valid: {error.verify_message}") from error
        except TimeoutError as error:
            raise SourceUnavailable(f"{self._name} gave no answer within {self.timeout_s:g} s") from error
        except OSError as error:
            raise SourceUnavailable(f"cannot reach {self._name}: {error.strerror or error}") from error
        except HTTPException as error:
            raise SourceUnavailable(f"{self._name} answered something that is not HTTP") from error
        finally:
            connection.close()
        if status != HTTPStatus.OK:
            raise SourceUnavailable(self._refusal(status, body))
        return body

    @property
    def _name(self) -> str:
        return f"slurmrestd at {self.url}"

    def _identity(self) -> Mapping[str, str]:
        """Return the headers that say who asks; 22.05 wants the user's name beside the token."""
        if self.token_file is None:
            return {}
        token = read_token(self.token_file)
        user = user_of(token)
        return {"X-SLURM-USER-TOKEN": token, **({"X-SLURM-USER-NAME": user} if user else {})}

    def _refusal(self, status: int, body: bytes) -> str:
        said = f"{self._name} answered {status}"
        if status == HTTPStatus.UNAUTHORIZED:
            return f"{said}: it wants a token that is valid; see --slurmrestd-token-file"
        if status == HTTPStatus.NOT_FOUND:
            return f"{said}: it does not speak {self.version}; name a version that it does with --slurmrestd-version"
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            return f"{said}: slurmctld is down, or the token not valid; it says: {message_of(body)}"
        return f"{said}: {message_of(body)}"


class Refusal(msgspec.Struct):
    """What a document says of errors; beside them is the number of the connection, which is another each time."""

    errors: list[Any]


def message_of(body: bytes) -> str:
    """Return the errors in the body of a refusal, or its text if it is no document; bounded, in one line."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        body = msgspec.json.encode(msgspec.json.decode(body, type=Refusal).errors)
    return " ".join(body.decode(errors="replace").split())[:LONGEST_MESSAGE] or "it gave no reason"


class _UnixConnection(HTTPConnection):
    """HTTP through the UNIX socket at ``path``."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the path instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection_to(url: str, timeout_s: float) -> HTTPConnection:
    """Return a connection, not yet open, to http://HOST:PORT, https://HOST:PORT or unix:///PATH; or :class:`BadUrl`."""
    parts = urlsplit(url)
    if parts.scheme == "unix" and not parts.netloc and parts.path:
        return _UnixConnection(parts.path, timeout_s)
    if parts.scheme in {"http", "https"} and parts.hostname and parts.path in {"", "/"} and "@" not in parts.netloc:
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname, parts.port, timeout=timeout_s)
    raise BadUrl("it is none of http://HOST:PORT, https://HOST:PORT, unix:///PATH")


def _read(response: HTTPResponse, deadline: float) -> bytes:
    body = BytesIO()
    # read1 returns what is there, so that a trickle does not outlast the deadline.
    while chunk := response.read1(CHUNK_BYTES):
        body.write(chunk)
        if time.monotonic() > deadline:
            raise TimeoutError
        if body.tell() > MOST_BYTES:
            raise SourceUnavailable(f"slurmrestd answered more than {MOST_BYTES // 2**20} MiB")
    return body.getvalue()


def read_token(file: Path) -> str:
    """Return the token in ``file``, alone or as scontrol prints it; raises :class:`SourceUnavailable`."""
    try:
        with file.open("rb") as opened:
            token = opened.read(LONGEST_TOKEN).decode().strip().removeprefix(VARIABLE)
    except OSError as error:
        raise SourceUnavailable(f"cannot read the token in {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceUnavailable(f"there is no token in {file}") from error
    if not ONE_WORD.fullmatch(token):
        raise SourceUnavailable(f"there is no token in {file}")
    return token


class Claims(msgspec.Struct):
    """The claims of a token that name its user: Slurm's own, and the default of other issuers."""

    sun: str | None = None
    username: str | None = None


def user_of(token: str) -> str | None:
    """Return the user a JSON Web Token names (RFC 7519; checked by slurmctld, not here), None if it names none."""
    payload = f"{token}..".split(".")[1]
    try:
        claims = msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=Claims)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    user = claims.sun or claims.username
    return user if user and ONE_WORD.fullmatch(user) else None
