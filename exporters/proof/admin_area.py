"""PROOF sessions, read from the admin area of xproofd: no ROOT, no network, no authentication.

A session is ``activesessions/<user>.<group>.<pid>``, written once when it starts, and ``<the same>.status``, one
integer which the session rewrites at each check of the daemon (ROOT 5.26 and later). The daemon cleans up late: only
what has a live process counts. Sessions that have ended are in ``terminatedsessions``, which nobody needs to read.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from prometheus_client.core import Metric

from exporters.proof.formats import Role, SessionName, parse_integer, parse_role, parse_session_name
from exporters.proof.liveness import DAEMON_PROGRAMS, SESSION_PROGRAMS, is_alive, is_replaced
from exporters.proof.metrics import DEFAULT_MAX_USERS, session_metrics, status_age, xproofd_up
from exporters.proof.process_table import admin_areas_in_use
from exporters.proof.sessions import Session
from exporters.serving import SourceUnavailable

# The daemon gives a session up whose status is older than 3 x checkfq (xpd.proofservmgr verifyto, default 90 s): until
# then its process needs no second look.
STATUS_SUSPECT_AGE_S = 90.0

# A much older status says nothing any more; when that of every session is, the daemon itself hangs.
STATUS_MAX_AGE_S = 300.0

# A status file belongs to the user's process; nobody shall fill the exporter's memory or its time through it.
MAX_FILE_BYTES = 65536
MAX_FILES = 100_000


def _content(path: str) -> tuple[bytes, float] | None:
    """Return the content and the time of last change; None if the file is gone, which is normal at any moment."""
    try:
        # A named pipe in the place of a file would block for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, MAX_FILE_BYTES), os.fstat(descriptor).st_mtime
    except OSError as error:
        error.filename = path
        raise
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A session at the last read; ``version`` is of its file: inode, time of change in ns, and size."""

    name: SessionName
    version: tuple[int, int, int]
    session: Session


@dataclass(slots=True)
class AdminArea:
    """The admin area of one xproofd, ``<adminpath>[/<instance>]/.xproofd.<port>``.

    It remembers the sessions of the last read: a status file found empty is being written, and keeps its last value.
    A user's session whose status is older than ``status_max_age_s`` is of state "unknown"; when the newest one is, the
    whole area is unknown. ``alive`` and ``replaced`` say whether a process lives, and whether it is another one than
    the file's. ``waiting`` tells how many sessions wait by the daemon's log, None = it does not say.
    """

    path: Path
    alive: Callable[[int], bool] = is_alive
    replaced: Callable[[int, float, Collection[str]], bool] = is_replaced
    clock: Callable[[], float] = time.time
    status_max_age_s: float = STATUS_MAX_AGE_S
    max_users: int = DEFAULT_MAX_USERS
    waiting: Callable[[], int | None] = lambda: None
    _last: dict[str, _Seen] = field(default_factory=dict, init=False)

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` without a running xproofd and a readable area."""
        sessions, now = self.sessions(), self.clock()
        metrics = session_metrics(sessions, now, max_users=self.max_users, waiting=self.waiting())
        return [xproofd_up(up=True), *metrics]

    def sessions(self) -> list[Session]:
        """Return the live sessions; raises :class:`SourceUnavailable` as :meth:`read` does."""
        try:
            self._require_daemon()
            self._last = dict(self._live_sessions())
        except OSError as error:
            raise SourceUnavailable(
                f"cannot read {error.filename}: {error.strerror}; --admin-path and --instance must lead to the admin "
                f"area of xproofd (all.adminpath, -n), and this user must be allowed to read it{self._hint()}"
            ) from error
        sessions = [seen.session for seen in self._last.values()]
        now = self.clock()
        self._require_fresh(sessions, now)
        return [replace(session, status=None) if self._is_stale(session, now) else session for session in sessions]

    @property
    def missing(self) -> bool:
        """Whether there is surely no such area; one that cannot be looked at may be there."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def _hint(self) -> str:
        if not self.missing:
            return ""
        others = sorted(admin_areas_in_use())
        if others:
            return f"; a proofserv that runs here uses {' and '.join(others[:3])}"
        return "; ROOT 5.20 and older has none: there --process-table counts the processes instead"

    def _require_daemon(self) -> None:
        self.path.stat()
        file = self.path / "xrootd.pid"
        found = _content(str(file))
        if found is None:
            raise SourceUnavailable(f"xproofd is not running: there is no {file}", [xproofd_up(up=False)])
        pid = parse_integer(found[0])
        if pid is None:
            raise SourceUnavailable(f"{file} does not hold a process id")
        # The pid file outlives its daemon, and without a daemon nobody refreshes the status files.
        if not self.alive(pid):
            raise SourceUnavailable(f"xproofd is not running: pid {pid} of {file} is not alive", [xproofd_up(up=False)])
        if self.replaced(pid, found[1], DAEMON_PROGRAMS):
            raise SourceUnavailable(
                f"xproofd is not running: pid {pid} of {file} is another program's now", [xproofd_up(up=False)]
            )

    def _require_fresh(self, sessions: Sequence[Session], now: float) -> None:
        """Raise :class:`SourceUnavailable` if the newest status is stale; an older one may be its session's fault."""
        asked = [session for session in sessions if session.role is Role.MASTER and session.status_at_s is not None]
        if asked and all(self._is_stale(session, now) for session in asked):
            raise SourceUnavailable(
                f"the status files have not been refreshed for more than {self.status_max_age_s:g} s: xproofd is alive "
                "but does not ask its sessions",
                [xproofd_up(up=True), *status_age(sessions, now)],
            )

    def _is_stale(self, session: Session, now: float) -> bool:
        if session.role is not Role.MASTER or session.status_at_s is None:
            return False
        return now - session.status_at_s > self.status_max_age_s

    def _live_sessions(self) -> Iterator[tuple[str, _Seen]]:
        folder = self.path / "activesessions"
        with os.scandir(folder) as entries:
            files = [entry for entry in islice(entries, MAX_FILES + 1) if entry.is_file(follow_symlinks=False)]
        if len(files) > MAX_FILES:
            raise SourceUnavailable(f"{folder} holds more than {MAX_FILES} files: those are no sessions")
        for file in files:
            last = self._last.get(file.name)
            name = last.name if last else parse_session_name(file.name)
            seen = self._seen(name, file, last) if name and self.alive(name.pid) else None
            if seen is not None:
                yield file.name, seen

    def _seen(self, name: SessionName, file: "os.DirEntry[str]", last: _Seen | None) -> _Seen | None:
        try:
            found = file.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        # It is written once: of a thousand sessions, all but the new ones need no second reading.
        # One that could not be read may be readable now, which its version does not tell.
        known = last is not None and last.version == version and last.session.role is not Role.UNKNOWN
        role = last.session.role if last and known else self._role(file)
        status = self._status_content(file)
        if role is None or (status is None and not os.path.exists(file.path)):  # noqa: PTH110 - it is a string
            # The daemon is just removing it. A status file alone may be missing: ROOT before 5.26 has none.
            return None
        session = Session(name.user, name.group, role, found.st_mtime, *self._status(status, last))
        return None if self._is_left_behind(name.pid, session) else _Seen(name, version, session)

    def _role(self, file: "os.DirEntry[str]") -> Role | None:
        try:
            found = _content(file.path)
        except OSError:
            # One file that cannot be read is one unknown session, and no reason to know nothing of the others.
            return Role.UNKNOWN
        return parse_role(found[0]) if found else None

    def _status_content(self, file: "os.DirEntry[str]") -> tuple[bytes, float] | None:
        try:
            return _content(f"{file.path}.status")
        except OSError:
            return None

    def _status(self, found: tuple[bytes, float] | None, last: _Seen | None) -> tuple[int | None, float | None]:
        if found is None:
            return None, None
        content, changed_at_s = found
        if not content and last and last.session.status is not None:
            # Its time as well: a first "idle" is not made true by the instant in which the answer is being written.
            return last.session.status, last.session.status_at_s
        return parse_integer(content), changed_at_s

    def _is_left_behind(self, pid: int, session: Session) -> bool:
        fresh = session.status_at_s is not None and self.clock() - session.status_at_s <= STATUS_SUSPECT_AGE_S
        return not fresh and self.replaced(pid, session.begun_at_s, SESSION_PROGRAMS)
