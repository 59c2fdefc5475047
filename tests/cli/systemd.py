"""systemd's part, played by a test: the socket that is told of the service, and the service in a process of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.cli.site import COMMAND, Site
from tests.service.waiting import DEADLINE_S


@dataclass
class Systemd:
    """The receiving end of NOTIFY_SOCKET: a list of messages, each a list of assignments."""

    site: Site
    end: socket.socket
    heard: list[list[str]] = field(default_factory=list)

    def hear(self, wanted: str) -> list[str]:
        """The next message that has an assignment with this beginning."""
        give_up = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up:
            message = self.end.recv(4096).decode().split("\n")
            self.heard.append(message)
            if any(line.startswith(wanted) for line in message):
                return message
        raise AssertionError(f"{wanted} never came: {self.heard[-5:]}")

    def forget(self) -> None:
        """Drop all that was sent so far."""
        self.end.settimeout(0)
        try:
            while self.end.recv(4096):
                pass
        except BlockingIOError:
            self.end.settimeout(DEADLINE_S)


def status(message: list[str]) -> str:
    """The status line of a message."""
    (line,) = [line.removeprefix("STATUS=") for line in message if line.startswith("STATUS=")]
    return line


@contextmanager
def running(systemd: Systemd, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The installed command under this systemd."""
    site = systemd.site
    words = [str(COMMAND), "run", "--config", str(site.config), *options]
    environment = {**os.environ, "NOTIFY_SOCKET": str(site.folder / "notify")}
    with (
        (site.folder / "log").open("w") as log,
        subprocess.Popen(words, stderr=log, stdout=log, text=True, cwd=site.folder, env=environment) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def listening(site: Site) -> Iterator[Systemd]:
    """Listen in the site's folder."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as end:
        end.bind(str(site.folder / "notify"))
        end.settimeout(DEADLINE_S)
        yield Systemd(site, end)
