"""A writer of xproofd's admin area: the files a real PROOF master or worker keeps of its sessions, byte by byte.

Stands in for xproofd, of which no package exists. Each session has a real process behind it, since readers have to tell
a session that lives from files that a crash left behind.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

from tests.testbed.processes import Process

XPROOFD_PORT = 1093
PROTOCOL_AND_ROOT_TAG = "36 5.34/30"
FOLDERS = ("activesessions", "terminatedsessions", "clients", "socks", "rootsysvalidation")


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
    """The admin area below ``path`` (xrootd's adminpath); ``with`` creates it and ends every process behind it."""

    def __init__(self, path: Path, port: int = XPROOFD_PORT) -> None:
        self.port = port
        self.root = path / f".xproofd.{port}"
        self.sessions: list[Session] = []
        self._logs = path / "logs"
        self._children = ExitStack()
        self._started = 0
        self._clients = 0

    def __enter__(self) -> Self:
        for folder in FOLDERS:
            (self.root / folder).mkdir(parents=True)
        self._logs.mkdir()
        self.daemon = self._child("xproofd")
        (self.root / "xrootd.pid").write_text(str(self.daemon.pid))
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
        session = self.begin_session(user, group)
        session.file.write_text(self._body(session, server_type, ordinal))
        if status != Status.IDLE:
            self.set_status(session, status)
        return session

    def begin_session(self, user: str, group: str = "default") -> Session:
        """Start a session and stop where the daemon waits for the call-back: its file is empty, its status ``0``."""
        self._started += 1
        process = self._child(f"proofserv-{self._started}")
        session = Session(user, group, process, self.active / f"{user}.{group}.{process.pid}")
        session.file.touch()
        session.file.chmod(0o666)
        with session.status_file.open("a") as status_file:
            status_file.write("0")
        self.sessions.append(session)
        return session

    def set_status(self, session: Session, status: Status) -> None:
        """Write what proofserv answers to a ping: truncate, then write, as ``fopen(w)`` does, without a line end."""
        session.status_file.write_text(str(int(status)))

    def refresh(self) -> None:
        """Answer the daemon's ping in every live session: same states, new times."""
        for session in self.sessions:
            if session.process.running:
                session.status_file.write_text(session.status_file.read_text())

    def close_session(self, session: Session) -> None:
        """End a session in order: its file moves to the terminated ones, its status goes."""
        session.process.kill9()
        session.file.rename(self.root / "terminatedsessions" / session.file.name)
        session.status_file.unlink()
        self.sessions.remove(session)

    def crash_session(self, session: Session) -> None:
        """Kill the process and leave its files behind."""
        session.process.kill9()

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

    def _child(self, name: str) -> Process:
        return self._children.enter_context(Process(["sleep", "infinity"], self._logs, name=name))

    def _body(self, session: Session, server_type: ServerType, ordinal: str) -> str:
        kind = "worker" if server_type == ServerType.WORKER else "master"
        tag = f"localhost-{int(time.time())}-{session.pid}"
        folder = self.root.parent / "work" / session.user / f"session-{tag}"
        return (
            f"{session.user} {session.group}\n"
            f"{self.root}/socks/xpd.{self.port}.{session.pid}\n"
            f"{session.pid} {len(self.sessions)} {int(server_type)}\n"
            f"{ordinal} {tag} \n"
            f"{folder}/{kind}-{ordinal}-{tag}.log\n"
            f"{PROTOCOL_AND_ROOT_TAG}\n"
        )
