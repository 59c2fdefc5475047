"""A writer of xproofd's admin area: the files a real PROOF master or worker keeps of its sessions, byte by byte.

Stands in for xproofd, of which no package exists. Each session has a real process behind it, with the command line of a
proofserv, since readers have to tell a session that lives from files that a crash left behind.
"""

import os
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

from tests.testbed.processes import Process

XPROOFD_PORT = 1093
BIN = "/usr/local/bin"
FOLDERS = ("activesessions", "terminatedsessions", "clients", "socks", "rootsysvalidation")


@dataclass(frozen=True)
class Release:
    """What a release of ROOT writes: the last line of a session file, whether there are status files, line 3."""

    protocol_and_tag: str
    has_status_files: bool = True
    has_status_in_line_3: bool = False


ROOT_5_34 = Release("36 5.34/30")
ROOT_5_24 = Release("25 5.24/00", has_status_files=False, has_status_in_line_3=True)


class Status(IntEnum):
    """What a session's ``.status`` file can say."""

    IDLE = 0
    RUNNING = 1
    TERMINATING = 2
    QUEUED = 3
    IDLE_TIMED_OUT = 4


class ServerType(IntEnum):
    """What kind of proofserv a session file describes."""

    WORKER = 0
    SUBMASTER = 1
    TOP_MASTER = 2


@dataclass(frozen=True)
class Session:
    """One proofserv with its two files."""

    user: str
    group: str
    process: Process
    file: Path

    @property
    def pid(self) -> int:
        """The id in the file name, of a live process unless the session was crashed."""
        return int(self.file.name.rsplit(".", 1)[1])

    @property
    def status_file(self) -> Path:
        """Where the session's state is."""
        return self.file.with_name(f"{self.file.name}.status")


class ProofArea:
    """The admin area below ``path`` (xrootd's adminpath); ``with`` creates it and ends every process behind it.

    ``mxrun`` is how many sessions may run queries at once (xpd.schedparam mxrun:N queue:fifo); the others wait.
    """

    def __init__(
        self, path: Path, port: int = XPROOFD_PORT, release: Release = ROOT_5_34, mxrun: int | None = None
    ) -> None:
        self.port = port
        self.root = path / f".xproofd.{port}"
        self.sessions: list[Session] = []
        self._release = release
        self._mxrun = mxrun
        self._running: list[Session] = []
        self._queue: deque[Session] = deque()
        self._logs = path / "logs"
        self._children = ExitStack()
        self._started = 0
        self._clients = 0

    def __enter__(self) -> Self:
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        self._logs.mkdir()
        os.mkfifo(self._logs / "never")
        for service in ("proofserv", "proofslave"):
            (self._logs / service).write_text("read -r _ < never\n")
        self.start_daemon()
        return self

    def __exit__(self, *_: object) -> None:
        self._children.close()

    @property
    def active(self) -> Path:
        """The folder of the session and status files."""
        return self.root / "activesessions"

    def open_session(
        self,
        user: str,
        group: str = "default",
        status: Status = Status.IDLE,
        server_type: ServerType = ServerType.TOP_MASTER,
        *,
        ordinal: str = "0",
    ) -> Session:
        """Start a session the way the daemon does: empty file, status ``0``, then the body, then the first ping."""
        session = self.begin_session(user, group, server_type)
        self.call_back(session, server_type, ordinal)
        if status != Status.IDLE:
            self.set_status(session, status)
        return session

    def begin_session(
        self, user: str, group: str = "default", server_type: ServerType = ServerType.TOP_MASTER
    ) -> Session:
        """Start a session and stop where the daemon waits for the call-back: its file is empty, its status ``0``."""
        self._started += 1
        process = self._proofserv(server_type)
        session = Session(user, group, process, self.active / f"{user}.{group}.{process.pid}")
        session.file.touch()
        session.file.chmod(0o666)
        if self._release.has_status_files:
            with session.status_file.open("a") as status_file:
                status_file.write("0")
        self.sessions.append(session)
        return session

    def call_back(self, session: Session, server_type: ServerType = ServerType.TOP_MASTER, ordinal: str = "0") -> None:
        """Fill the file of a session that has begun, as the daemon does when the session has called it back."""
        session.file.write_text(self._body(session, server_type, ordinal))

    def set_status(self, session: Session, status: Status) -> None:
        """Write what proofserv answers to a ping: truncate, then write, as ``fopen(w)`` does, without a line end."""
        session.status_file.write_text(str(int(status)))

    def submit(self, session: Session) -> None:
        """Start a query, or put it at the end of the queue while ``mxrun`` sessions run one."""
        may_run = self._mxrun is None or len(self._running) < self._mxrun
        (self._running if may_run else self._queue).append(session)
        self.set_status(session, Status.RUNNING if may_run else Status.QUEUED)

    def finish(self, session: Session) -> None:
        """End the query of a session; the one that has waited longest runs."""
        self.set_status(session, Status.IDLE)
        self._free(session)

    def _free(self, session: Session) -> None:
        if session in self._running:
            self._running.remove(session)
            if self._queue:
                self.submit(self._queue.popleft())

    def let_pass(self, seconds: float) -> None:
        """Make all files of sessions so much older; the daemon then asks every session, unless it hangs."""
        for file in self.active.iterdir():
            changed = file.stat().st_mtime - seconds
            os.utime(file, (changed, changed))

    def refresh(self) -> None:
        """Answer the daemon's ping in every live session: same states, new times."""
        for session in self.sessions:
            if session.process.running:
                session.status_file.write_text(session.status_file.read_text())

    def close_session(self, session: Session) -> None:
        """End a session in order: its file moves to the terminated ones, its status goes."""
        session.process.kill9()
        session.file.rename(self.root / "terminatedsessions" / session.file.name)
        session.status_file.unlink(missing_ok=True)
        self.sessions.remove(session)

    def crash_session(self, session: Session) -> None:
        """Kill the process and leave its files behind."""
        session.process.kill9()

    def sweep(self) -> None:
        """Do what the daemon does at each check: move the sessions whose process is gone to the terminated ones."""
        for session in [session for session in self.sessions if not session.process.running]:
            self.close_session(session)
            self._free(session)

    def leave_behind(self, user: str, group: str, pid: int, status: Status) -> None:
        """Write the files of a session of an hour ago whose process id somebody else has now."""
        file = self.active / f"{user}.{group}.{pid}"
        file.write_text(f"{user} {group}\n/sock\n{pid} 0 2\n0 tag \n/log\n{self._release.protocol_and_tag}\n")
        status_file = file.with_name(f"{file.name}.status")
        status_file.write_text(str(int(status)))
        for path in (file, status_file):
            os.utime(path, (time.time() - 3600, time.time() - 3600))

    def start_daemon(self) -> None:
        """Start the daemon, or start it again: sessions outlive it, and it writes its pid file anew."""
        self._started += 1
        self.daemon = self._child(f"xproofd-{self._started}", f"{BIN}/xproofd", "sleep", "infinity")
        (self.root / "xrootd.pid").write_text(str(self.daemon.pid))

    def crash_daemon(self) -> None:
        """Kill the daemon; its pid file stays, as it does in real life."""
        self.daemon.kill9()

    def connect_client(self, user: str, group: str = "default", host: str = "localhost") -> Path:
        """Log a client in; return its folder. A file ``disconnected`` in there says that it is away."""
        self._clients += 1
        folder = self.root / "clients" / f"{user}.{group}" / f"{host}.{self.daemon.pid + self._clients}"
        folder.mkdir(parents=True)
        (folder / "cid").write_text(str(self._clients))
        return folder

    def _proofserv(self, server_type: ServerType) -> Process:
        service = "proofslave" if server_type == ServerType.WORKER else "proofserv"
        words = (service, "xpd", f"xpdpath:{self.root}", "0")
        return self._child(f"{service}-{self._started}", f"{BIN}/proofserv.exe", "sh", *words)

    def _child(self, name: str, called: str, *command: str) -> Process:
        """Run the command under the name by which the process table shall call it."""
        words = ["bash", "-c", 'exec -a "$0" "$@"', called, *command]
        return self._children.enter_context(Process(words, self._logs, name=name, cwd=self._logs))

    def _body(self, session: Session, server_type: ServerType, ordinal: str) -> str:
        kind = "worker" if server_type == ServerType.WORKER else "master"
        tag = f"localhost-{int(time.time())}-{session.pid}"
        status = " 0" if self._release.has_status_in_line_3 else ""
        folder = self.root.parent / "work" / session.user / f"session-{tag}"
        return (
            f"{session.user} {session.group}\n"
            f"{self.root}/socks/xpd.{self.port}.{session.pid}\n"
            f"{session.pid} {len(self.sessions)} {int(server_type)}{status}\n"
            f"{ordinal} {tag} \n"
            f"{folder}/{kind}-{ordinal}-{tag}.log\n"
            f"{self._release.protocol_and_tag}\n"
        )
