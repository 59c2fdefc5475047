"""A stand-in for xproofd, of which no package exists: it speaks the protocol byte by byte, and writes the same log.

What it does was seen on a real xproofd of ROOT 5.28, or read in the source of 5.34: the handshake, the login as an
administrator, kQueryWorkers and kQuerySessions, messages nobody asked for, refusals; a connection that ends takes the
others with it that logged in with the same process id. It can hang, talk nonsense, hang up and be restarted.
"""

import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.testbed.proof_area import ProofArea, ServerType, Status

VERSION = 0x3EE  # XPROOFD_VERSBIN of ROOT 5.28
HANDSHAKE = bytes.fromhex("0000000000000000000000010000000000000000" + "00000004000007dc")
HANDSHAKE_ANSWER = struct.pack(">iiii", 0, 0, VERSION, 0)
LOGIN, ADMIN = 3101, 3113
OK, ATTENTION, MORE_AUTHENTICATION, ERROR = 0, 4001, 4002, 4003
INVALID_REQUEST = 3006
QUERY_SESSIONS, QUERY_WORKERS = 1000, 1004
SERVER_MESSAGE = 5104
ROLES = {b"A": "Admin", b"M": "ClientMaster", b"m": "MasterMaster", b"s": "MasterWorker", b"i": "Internal"}
TID = 17945
END_DEADLINE_S = 30


@dataclass(frozen=True)
class Worker:
    """One line of proof.conf, and how many sessions have been given to it."""

    host: str
    sessions: int = 0
    port: int = 1093
    kind: str = "W"

    def __str__(self) -> str:
        where = f"{self.host}:{self.port}" if self.port >= 0 else f"{self.host}     "
        return f"{self.kind}: {where}  sessions: {self.sessions} &"


@dataclass
class Client:
    """One connection, with all it has sent since the handshake."""

    link: socket.socket
    received: bytes = b""
    pid: int | None = None
    user: str = ""
    role: str = ""
    folder: Path | None = None

    def __str__(self) -> str:
        return f"{self.user}.{self.pid}:28@localhost"

    def read(self, length: int) -> bytes:
        """Return exactly that many bytes; raises :class:`ConnectionError` at the end of the connection."""
        data = b""
        while len(data) < length:
            piece = self.link.recv(length - len(data))
            if not piece:
                raise ConnectionResetError("the client has gone")
            data += piece
        self.received += data
        return data

    def hang_up(self) -> None:
        """End the connection, whoever is waiting in it."""
        with suppress(OSError):
            self.link.shutdown(socket.SHUT_RDWR)


@dataclass
class FakeXproofd:
    """xproofd on a free port of 127.0.0.1; ``with`` starts and ends it. The attributes may be set at any time.

    ``unasked`` are messages sent in front of the next answers, ``raw`` is sent instead of them. ``refuses`` is the text
    of an error, ``wants_authentication`` and ``hangs`` are what they say. ``hangs_up_after`` closes a connection after
    so many answers to admin requests.
    """

    log: Path | None = None
    area: ProofArea | None = None
    workers: Sequence[Worker] = (Worker("localhost", 0, kind="M"), Worker("localhost"), Worker("localhost"))
    selection: str = "round-robin"
    unasked: Sequence[str] = ()
    raw: bytes | None = None
    refuses: str = ""
    wants_authentication: bool = False
    hangs: bool = False
    hangs_up_after: int | None = None
    port: int = 0
    clients: list[Client] = field(default_factory=list)
    logins: int = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Where it listens, for ``--tcp``."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before if it ran before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self.clients.clear()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept, args=(self._listener,), daemon=True)]
        self._threads[0].start()
        self._write_start()

    def stop(self) -> None:
        """End, with all connections."""
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for client in list(self.clients):
            client.hang_up()
        for thread in list(self._threads):
            thread.join(END_DEADLINE_S)
        self._listener.close()

    def restart(self) -> None:
        """End and start again on the same port, as the init script would do it."""
        self.stop()
        self.start()

    # What it writes to its log; each line also by itself, so that a test can play a whole day in a moment.

    def write(self, text: str, at_s: float | None = None) -> None:
        """Write one line as xproofd does, at ``at_s`` (seconds since the epoch) or now."""
        stamp = time.strftime("%y%m%d %H:%M:%S", time.localtime(at_s))
        self.write_raw(f"{stamp} {TID} xpd-I: {text}\n".encode())

    def write_raw(self, data: bytes) -> None:
        """Write bytes to the log, which is opened anew each time: it may have been rotated."""
        if self.log is not None:
            with self.log.open("ab") as log:
                log.write(data)

    def check_sessions(self, number: int) -> None:
        """Do what the cron thread does at each check of the sessions."""
        self.write("ProofServMgr::CurrentSessions: enter")
        self.write(f"ProofServCron: {number} sessions are currently active")
        self.write("ProofServCron: next sessions check in 30 secs")

    def broadcast(self, total: int, active: int) -> None:
        """Tell that a query has begun or ended, as ROOT 5.28 and 5.34 do."""
        self.write("ProofServMgr::BroadcastClusterInfo: enter")
        self.write(f"ProofServMgr::BroadcastClusterInfo: tot: {total}, act: {active}")

    def dump_queue(self, queries_of_users: Mapping[str, int], called_from: str = "Reschedule") -> None:
        """Write the scheduler's queue, as with ``xpd.trace dbg``."""
        self.write("DumpQueues:  ++++++++++++++++++++ DumpQueues ++++++++++++++++++++++++++++++++ ")
        self.write(f"DumpQueues:  +++ Called from: {called_from}")
        self.write(f"DumpQueues:  +++ # of waiting sessions: {len(queries_of_users)}")
        for index, (user, queries) in enumerate(queries_of_users.items(), 1):
            self.write(f"DumpQueues:  +++ #{index} client:{user} # of queries: {queries}")
        self.write("DumpQueues:  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++ ")

    def _write_start(self) -> None:
        stamp = time.strftime("%y%m%d %H:%M:%S")
        self.write_raw(
            f"{stamp} 001 Scalla is starting. . .\n"
            "Copr.  2010 Stanford University, xrd version v20100913-0630-root-5\n"
            "++++++ xproofd anon@localhost initialization started.\n"
            f"{stamp} 001 xpd-I: Manager::Config: listening on port {self.port}\n"
            f"------ xproofd anon@localhost:{self.port} initialization completed.\n".encode()
        )

    # The protocol.

    def _accept(self, listener: socket.socket) -> None:
        while not self._ended.is_set():
            try:
                link, _ = listener.accept()
            except OSError:
                return
            client = Client(link)
            self.clients.append(client)
            self._threads.append(threading.Thread(target=self._serve, args=(client,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: Client) -> None:
        with client.link, suppress(OSError):
            if client.read(len(HANDSHAKE)) != HANDSHAKE:
                return
            client.received = b""
            self._send(client, HANDSHAKE_ANSWER)
            answered = 0
            while self.hangs_up_after is None or answered < self.hangs_up_after:
                answered += self._serve_request(client)
        self._recycle(client)

    def _serve_request(self, client: Client) -> bool:
        stream, request, body, length = struct.unpack(">2sH16si", client.read(24))
        data = client.read(length)
        if request == LOGIN:
            self._log_in(client, stream, body, data)
            return False
        for text in self.unasked:
            message = struct.pack(">i", SERVER_MESSAGE) + text.encode() + b"\0"
            client.link.sendall(b"\0\0" + struct.pack(">Hi", ATTENTION, len(message)) + message)
        self._answer_admin(client, stream, request, struct.unpack(">4i", body)[1])
        return True

    def _log_in(self, client: Client, stream: bytes, body: bytes, data: bytes) -> None:
        pid, name = struct.unpack(">i8s", body[:12])
        user = name.rstrip(b"\0").decode()
        if user == "?>buf":
            user = data.decode().partition("|usr:")[2].partition("|")[0]
        client.user, _, group = user.partition(":")
        self.logins += 1
        if client.user == "root" or body[15:16] not in ROLES:
            self._refuse(client, stream, f"username not allowed: {client.user}")
            return
        client.pid = pid
        client.role = ROLES[body[15:16]]
        self._map(client, group or "default")
        list_of_protocols = b"&P=pwd,v:10100\0" if self.wants_authentication else b""
        self._send(client, struct.pack(">2sHii", stream, OK, 4 + len(list_of_protocols), VERSION) + list_of_protocols)

    def _map(self, client: Client, group: str) -> None:
        # The real one does this just after its answer; here, whoever has the answer can already look at it.
        if self.area is not None:
            client.folder = self.area.root / "clients" / f"{client.user}.{group}" / f"localhost.{client.pid}"
            client.folder.mkdir(parents=True, exist_ok=True)
            (client.folder / "cid").write_text(str(self.logins))
        self.write(f"{client}: ClientMgr::MapClient: user {client.user} logged-in; type: {client.role}")

    def _answer_admin(self, client: Client, stream: bytes, request: int, question: int) -> None:
        self.write(f"{client}: Admin::Process: req id: {question}")
        answers = {QUERY_WORKERS: self._workers, QUERY_SESSIONS: self._sessions}
        if self.refuses:
            self._refuse(client, stream, self.refuses)
        elif request != ADMIN or question not in answers:
            self._refuse(client, stream, f"Invalid type: {question}")
        else:
            text = answers[question](client).encode() + b"\0"
            self._send(client, stream + struct.pack(">Hi", OK, len(text)) + text)

    def _workers(self, _: Client) -> str:
        limit = "" if self.selection == "all" else ", max workers: -1 &"
        return f"Selection: {self.selection}{limit}{''.join(str(worker) for worker in self.workers)}"

    def _sessions(self, client: Client) -> str:
        parts = []
        for session in [] if self.area is None else self.area.sessions:
            lines = session.file.read_text().splitlines()
            # As long as the file is empty, the session has not yet called back.
            if lines and session.user == client.user and lines[2].endswith(f" {ServerType.TOP_MASTER:d}"):
                running = int(session.status_file.read_text() == f"{Status.RUNNING:d}")
                parts.append(f" | {lines[2].split()[1]} {lines[3].split()[1]}  {running} 1")
        return f"{len(parts)}{''.join(parts)}"

    def _refuse(self, client: Client, stream: bytes, text: str) -> None:
        data = struct.pack(">i", INVALID_REQUEST) + text.encode() + b"\0"
        self._send(client, stream + struct.pack(">Hi", ERROR, len(data)) + data)

    def _send(self, client: Client, data: bytes) -> None:
        while self.hangs and not self._ended.wait(0.05):
            pass
        client.link.sendall(data if self.raw is None else self.raw)

    def _recycle(self, client: Client) -> None:
        if client.pid is not None:
            self.write(f"{client}: Protocol::Recycle: user {client.user} disconnected; type: {client.role}")
        if client.folder is not None:
            (client.folder / "disconnected").touch()
        with suppress(ValueError):
            self.clients.remove(client)
        for other in list(self.clients):
            if client.pid is not None and other.pid == client.pid:
                other.hang_up()
