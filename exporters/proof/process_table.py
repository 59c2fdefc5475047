"""PROOF sessions and workers, counted in the process table: for ROOT 5.20 and older, whose xproofd has no admin area.

A session is ``<rootsys>/bin/proofserv[.exe] proofserv|proofslave xpd ...`` in any ROOT (XrdProofdProtocol.cxx, later
XrdProofdProofServMgr.cxx; the next word is the daemon's pid, or ``xpdpath:<admin area>`` where there is one). What it
does cannot be seen: every session is of state "unknown", which counts as demand, and there is no queue depth.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import psutil
from prometheus_client.core import Metric

from exporters.proof.formats import Role
from exporters.proof.liveness import DAEMON_PROGRAMS
from exporters.proof.metrics import DEFAULT_MAX_USERS, session_metrics, xproofd_up
from exporters.proof.sessions import Session
from exporters.serving import SourceUnavailable

PROGRAMS = ("proofserv", "proofserv.exe")

# Masters and submasters look alike.
ROLE_OF_SERVICE = {"proofserv": Role.MASTER, "proofslave": Role.WORKER}

ADMIN_AREA = "xpdpath:"
OF_PROOF = re.compile("proof|xpd", re.IGNORECASE)


def parse_role(arguments: Sequence[str]) -> Role | None:
    """Return what the process with this command line is to PROOF, None for any other program."""
    if len(arguments) < 2 or PurePath(arguments[0]).name not in PROGRAMS:  # noqa: PLR2004 - a program and a service
        return None
    return ROLE_OF_SERVICE.get(arguments[1])


def parse_admin_area(arguments: Sequence[str]) -> str | None:
    """Return the admin area in the command line of a session, None if there is none."""
    if parse_role(arguments) is None:
        return None
    found = (word.removeprefix(ADMIN_AREA) for word in arguments[2:] if word.startswith(ADMIN_AREA))
    return next(found, None)


def is_daemon(arguments: Sequence[str]) -> bool:
    """Say whether this is the command line of xproofd, or of an xrootd that runs it as a plug-in.

    Most run none: an xrootd counts only if its words (the configuration, the log) name PROOF or xpd. A storage server
    taken for PROOF's daemon would make an outage look like an idle facility.
    """
    if not arguments or PurePath(arguments[0]).name not in DAEMON_PROGRAMS:
        return False
    return PurePath(arguments[0]).name == "xproofd" or any(OF_PROOF.search(word) for word in arguments[1:])


def _command_lines(processes: Iterable[Any]) -> Iterator[tuple[Any, list[str]]]:
    """Yield the processes with their command lines; raises :class:`psutil.AccessDenied`."""
    for process in processes:
        try:
            yield process, process.cmdline()
        except psutil.NoSuchProcess:
            continue


def admin_areas_in_use() -> set[str]:
    """Return the admin areas of all sessions that can be seen; none if processes cannot be looked at."""
    try:
        areas = {parse_admin_area(arguments) for _, arguments in _command_lines(psutil.process_iter())}
    except psutil.Error:
        return set()
    return {area for area in areas if area}


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """The processes of this machine; ``processes`` are those to look at, as psutil gives them."""

    max_users: int = DEFAULT_MAX_USERS
    processes: Callable[[], Iterable[Any]] = psutil.process_iter
    clock: Callable[[], float] = time.time

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` without a running xproofd."""
        try:
            found = list(_command_lines(self.processes()))
        except psutil.AccessDenied as error:
            raise SourceUnavailable(
                "cannot read the command lines of other users' processes: run as root, or mount /proc without hidepid"
            ) from error
        if not any(is_daemon(arguments) for _, arguments in found):
            raise SourceUnavailable(
                "xproofd is not running: there is no process xproofd, nor an xrootd with PROOF or xpd in its words",
                [xproofd_up(up=False)],
            )
        sessions = list(_sessions(found))
        metrics = session_metrics(sessions, self.clock(), max_users=self.max_users, queue_known=False)
        return [xproofd_up(up=True), *metrics]


def _sessions(found: Iterable[tuple[Any, Sequence[str]]]) -> Iterator[Session]:
    for process, arguments in found:
        role = parse_role(arguments)
        try:
            if role is not None:
                # The group of a user is known to the daemon alone.
                yield Session(process.username(), "", role, process.create_time())
        except psutil.NoSuchProcess:
            continue
