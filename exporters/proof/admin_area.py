"""PROOF sessions, read from the admin area of xproofd: no ROOT, no network, no authentication.

The formats are those of ROOT 5.22 to 6 (XrdProofdProofServMgr.cxx, XrdProofdProofServ.cxx, TProofServ.cxx). A session
is ``activesessions/<user>.<group>.<pid>``, written once when it starts, and ``<the same>.status``, one integer which
the session rewrites at each check of the daemon. The daemon cleans up late: only what has a live process counts.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.serving import SourceUnavailable

STATES = ("idle", "running", "queued", "starting", "terminating", "unknown")
STATES_IN_DEMAND = ("running", "queued", "starting", "unknown")
STATE_OF_STATUS = {0: "idle", 1: "running", 2: "terminating", 3: "queued", 4: "terminating"}

# The daemon asks its sessions for their status this often (xpd.proofservmgr checkfq, default 30 s). Until the first
# time, the file says "idle" for a session that may well run; a user who has just come must not wait for it.
STATUS_LAG_S = 30.0

# The daemon gives a session up whose status is older than 3 x checkfq; a much older one means that it hangs itself.
STATUS_MAX_AGE_S = 300.0

# A status file belongs to the user's process; nobody shall fill the exporter's memory through it.
MAX_FILE_BYTES = 65536

SESSION_NAME = re.compile(r"(?P<user>.+)\.(?P<group>[^.]+)\.(?P<pid>[0-9]{1,9})", re.DOTALL)
INTEGER = re.compile(rb"[0-9]{1,9}")


class Role(StrEnum):
    """What a session is; ``STARTING`` while its file is still empty, ``UNKNOWN`` if the file makes no sense."""

    MASTER = "master"
    SUBMASTER = "submaster"
    WORKER = "worker"
    STARTING = "starting"
    UNKNOWN = "unknown"


ROLE_OF_SERVICE_TYPE = {b"2": Role.MASTER, b"1": Role.SUBMASTER, b"0": Role.WORKER}

# A session that does not yet say what it is counts as a user's: growing for nothing costs less than a waiting user.
MASTER_ROLES = (Role.MASTER, Role.STARTING, Role.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Session:
    """One live session as its two files show it; times in seconds since the epoch.

    ``status`` is the last code that could be read, None = none so far. ``status_at_s`` is None without a status file.
    """

    name: str
    role: Role
    begun_at_s: float
    status: int | None = None
    status_at_s: float | None = None

    def state(self, now: float) -> str:
        """Return one of :data:`STATES`."""
        if self.role is Role.STARTING:
            return "starting"
        if self.role is Role.UNKNOWN or self.status is None:
            return "unknown"
        state = STATE_OF_STATUS.get(self.status, "unknown")
        return "starting" if state == "idle" and abs(now - self.begun_at_s) < STATUS_LAG_S else state


def parse_session_pid(name: str) -> int | None:
    """Return the process id in the name of a session file, None for any other file; the user may contain dots."""
    match = SESSION_NAME.fullmatch(name)
    return int(match["pid"]) if match else None


def parse_role(body: bytes) -> Role:
    """Return what the body of a session file says: line 3 is ``pid id srvtype``, before ROOT 5.26 with a fourth int."""
    if not body:
        return Role.STARTING
    numbers = b"".join(body.split(b"\n")[2:3]).split()
    return ROLE_OF_SERVICE_TYPE.get(b"".join(numbers[2:3]), Role.UNKNOWN)


def parse_integer(content: bytes) -> int | None:
    """Return the integer a status or pid file holds ("00" is 0), None if it holds anything else."""
    stripped = content.strip()
    return int(stripped) if INTEGER.fullmatch(stripped) else None


def is_alive(pid: int) -> bool:
    """Say whether a process of that id exists; another user's counts as well."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def _content(path: Path) -> tuple[bytes, float] | None:
    """Return the content and the time of last change; None if the file is gone, which is normal at any moment."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES), os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None


@dataclass(slots=True)
class AdminArea:
    """The admin area of one xproofd, ``<adminpath>[/<instance>]/.xproofd.<port>``.

    It remembers the sessions of the last read: a status file found empty is being written, and keeps its last value.
    A user's session whose status is older than ``status_max_age_s`` makes the whole area unknown.
    """

    path: Path
    alive: Callable[[int], bool] = is_alive
    clock: Callable[[], float] = time.time
    status_max_age_s: float = STATUS_MAX_AGE_S
    _last: dict[str, Session] = field(default_factory=dict)

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` without a running xproofd and a readable area."""
        try:
            self._require_daemon()
            self._last = {session.name: session for session in self._live_sessions()}
        except OSError as error:
            raise SourceUnavailable(
                f"cannot read {error.filename}: {error.strerror}; --admin-path and --instance must lead to the admin "
                "area of xproofd (all.adminpath, -n), and this user must be allowed to read it"
            ) from error
        now = self.clock()
        self._require_fresh(now)
        return [_xproofd_up(up=True), *session_metrics(self._last.values(), now)]

    def _require_daemon(self) -> None:
        self.path.stat()
        file = self.path / "xrootd.pid"
        found = _content(file)
        if found is None:
            raise SourceUnavailable(f"xproofd is not running: there is no {file}", [_xproofd_up(up=False)])
        pid = parse_integer(found[0])
        if pid is None:
            raise SourceUnavailable(f"{file} does not hold a process id")
        if not self.alive(pid):
            # Nobody refreshes the status files any more, and the pid file outlives its daemon.
            raise SourceUnavailable(
                f"xproofd is not running: pid {pid} of {file} is not alive", [_xproofd_up(up=False)]
            )

    def _require_fresh(self, now: float) -> None:
        statuses = (session.status_at_s for session in self._last.values() if session.role is Role.MASTER)
        if any(at_s is not None and now - at_s > self.status_max_age_s for at_s in statuses):
            raise SourceUnavailable(
                f"the status files have not been refreshed for more than {self.status_max_age_s:g} s: xproofd is alive "
                "but does not ask its sessions",
                [_xproofd_up(up=True), *_status_age(self._last.values(), now)],
            )

    def _live_sessions(self) -> Iterator[Session]:
        for file in sorted((self.path / "activesessions").iterdir()):
            pid = parse_session_pid(file.name)
            session = self._session(file) if pid is not None and self.alive(pid) else None
            if session is not None:
                yield session

    def _session(self, file: Path) -> Session | None:
        found = _content(file)
        if found is None:
            return None
        session = Session(name=file.name, role=parse_role(found[0]), begun_at_s=found[1])
        found = _content(file.with_name(f"{file.name}.status"))
        if found is None:
            # ROOT before 5.26 has no status files; else the daemon is just removing this session.
            return session if file.exists() else None
        return self._with_status(session, *found)

    def _with_status(self, session: Session, content: bytes, changed_at_s: float) -> Session:
        last = self._last.get(session.name)
        remembered = last.status if last else None
        status = parse_integer(content) if content else remembered
        return Session(session.name, session.role, session.begun_at_s, status, changed_at_s)


def _xproofd_up(*, up: bool) -> Metric:
    return GaugeMetricFamily("proof_xproofd_up", "1 if the process of xproofd is alive, 0 if not.", up)


def session_metrics(sessions: Iterable[Session], now: float) -> Iterator[Metric]:
    """Yield the metrics of ``sessions`` at ``now`` (seconds since the epoch)."""
    live = list(sessions)
    masters = Counter(session.state(now) for session in live if session.role in MASTER_ROLES)
    workers = Counter(session.state(now) for session in live if session.role is Role.WORKER)
    yield _by_state("proof_sessions", "Users' PROOF sessions (on the master) by state.", masters)
    yield GaugeMetricFamily("proof_queue_depth", "PROOF sessions with a query in the queue.", masters["queued"])
    demand = sum(masters[state] for state in STATES_IN_DEMAND)
    yield GaugeMetricFamily("proof_demand_sessions", "PROOF sessions which need workers or may need them.", demand)
    yield _by_state("proof_workers", "PROOF worker processes on this machine by state.", workers)
    yield from _status_age(live, now)


def _status_age(sessions: Iterable[Session], now: float) -> Iterator[Metric]:
    status_times = [session.status_at_s for session in sessions if session.status_at_s is not None]
    if status_times:
        help_text = "Age of the oldest status of a live session, in seconds."
        yield GaugeMetricFamily("proof_status_age_seconds", help_text, now - min(status_times))


def _by_state(name: str, help_text: str, counts: Counter[str]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=["state"])
    for state in STATES:
        family.add_metric([state], counts[state])
    return family
