"""How Prometheus and Grafana are logged in to. Secrets are in files, as everybody may read the configuration."""

import errno
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.auth import AuthBase, HTTPBasicAuth


@dataclass(frozen=True, slots=True)
class Access:
    """By name and password, or by a token, or without; ``ca_file`` holds who signs the server's certificate.

    Files are read for each session, so that what was renewed is taken over.
    """

    username: str | None = None
    password_file: Path | None = None
    bearer_token_file: Path | None = None
    ca_file: Path | None = None

    @property
    def verify(self) -> str | None:
        """Requests' argument of that name; a session's own would give way to the environment."""
        return None if self.ca_file is None else str(self.ca_file)

    def session(self) -> requests.Session:
        """Open a session that logs in; raises ``OSError`` for a file that cannot be read."""
        auth: AuthBase | None = None
        if self.username is not None and self.password_file is not None:
            auth = HTTPBasicAuth(self.username.encode(), secret(self.password_file))
        elif self.bearer_token_file is not None:
            auth = _Bearer(secret(self.bearer_token_file).decode("latin-1"))
        if self.ca_file is not None:
            self.ca_file.open("rb").close()
        session = requests.Session()
        session.auth = auth
        return session


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def secret(file: Path) -> bytes:
    """Read a password or a token, one line without what surrounds it; raises ``OSError``."""
    text = file.read_bytes().strip()
    if len(text.splitlines()) != 1:
        # In a header it would be refused with a message that holds the secret.
        raise OSError(errno.EINVAL, "does not hold one line", str(file))
    return text


def cause(error: requests.RequestException) -> str:
    """Why a server could not be asked."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "connection refused or lost"
    return str(error)
