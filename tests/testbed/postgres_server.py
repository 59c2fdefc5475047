"""A PostgreSQL server for a test: a fresh cluster on a free port, which can be killed, stopped and started again."""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Self

import psycopg

from tests.testbed.processes import Process, free_port, scratch_folder, wait_until

USER, PASSWORD = "autoscaler", "not a secret"
DEADLINE_S = 60
# A commit is only as durable as a kill -9 of the server needs: the machine itself does not crash in a test.
FAST = ["-c", "full_page_writes=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB"]


def programs() -> Path:
    """The folder of the newest server that is installed; Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "no PostgreSQL server is installed: bash deploy/test.sh installs one"
    return found[-1]


class Postgres:
    """A server; ``with`` starts and ends it."""

    def __init__(self, scratch: Path) -> None:
        self.port = free_port()
        self._numbers = count(1)
        self.password_file = scratch / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self.password_file.chmod(0o644)
        data = scratch / "data"
        data.mkdir()
        words = [programs() / "initdb", "--no-sync", "-D", data, "-U", USER, "--pwfile", self.password_file]
        words += ["-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8"]
        _as_owner(data, words)
        argv = [programs() / "postgres", "-D", data, "-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
        self.process = Process([*argv, *FAST], scratch, name="postgres", user=_owner())

    def __enter__(self) -> Self:
        self.process.start()
        self.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill9()

    def restart(self) -> None:
        """End it at once, with all its sessions, and start it again."""
        os.kill(self.process.pid, signal.SIGQUIT)
        wait_until(lambda: not self.process.running, DEADLINE_S, "the server to end")
        self.process.kill9()
        self.process.start()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it takes sessions."""
        self.process.wait_until(lambda: self.ask("SELECT 1"), DEADLINE_S, "the server to take sessions")

    def ask(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement, outside of a transaction."""
        with psycopg.connect(self.url(database), password=PASSWORD, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else [("done",)]

    def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"facility_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name} STRATEGY file_copy")
        return name

    def url(self, database: str, port: int | None = None) -> str:
        """Where a database is, as ``store.url`` says it; ``port`` is that of a proxy."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server."""
    with scratch_folder() as scratch, Postgres(scratch) as server:
        yield server


def _owner() -> str | None:
    """Root may not run a server."""
    return "postgres" if os.geteuid() == 0 else None


def _as_owner(data: Path, words: list[object]) -> None:
    owner = _owner()
    if owner is not None:
        account = pwd.getpwnam(owner)
        shutil.chown(data, account.pw_uid, account.pw_gid)
    subprocess.run([str(word) for word in words], check=True, capture_output=True, user=owner, cwd=data)
