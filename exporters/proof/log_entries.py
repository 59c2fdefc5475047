"""The lines of xproofd's log which tell something about its sessions and its queue.

They are those of ROOT 5.26 to 6, each after ``YYMMDD HH:MM:SS <thread> xpd-I: ``, the time in local time:

``ProofServCron: N sessions are currently active`` (XrdProofdProofServMgr.cxx, the cron thread): the users' sessions, at
    each check (checkfq, 30 s; at most five times that while requests come in).
``ProofServMgr::BroadcastClusterInfo: tot: T, act: A``: A sessions run a query, when one begins or ends. Nothing is
    written while nothing changes, so it stays true as long as xproofd lives and writes. One thing is not written since
    ROOT 5.34: that the last session has gone; the line above tells it. (On a mere submaster, that line is always 0 and
    the sessions that run belong to no user there: this source is for the master.)
``DumpQueues:  +++ # of waiting sessions: N`` and ``DumpQueues:  +++ #i client:U # of queries: Q``, N times
    (XrdProofSched.cxx; only with ``xpd.trace dbg``): the queue, when a query enters it and at each rescheduling, with
    ``queue:fifo`` at least every 30 s.
``++++++ xproofd anon@host initialization started.``: a new xproofd, which has forgotten its queue.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# Anchored at the beginning of a line: users choose names and messages that are logged somewhere in the middle.
ENTRY = re.compile(
    rb"^(?:(?P<time>[0-9]{6} [0-9]{2}:[0-9]{2}:[0-9]{2}) [^\s]{1,20} xpd-I: (?:"
    rb"ProofServCron: (?P<sessions>[0-9]{1,9}) sessions are currently active"
    rb"|ProofServMgr::BroadcastClusterInfo: tot: [0-9]{1,9}, act: (?P<running>[0-9]{1,9})"
    rb"|DumpQueues:  \+\+\+ # of waiting sessions: (?P<waiting>[0-9]{1,9})"
    rb"|DumpQueues:  \+\+\+ #[0-9]{1,9} client:[^\n]{1,256}? # of queries: (?P<queries>[0-9]{1,9})"
    rb")|(?P<started>\+{6} [^\s]{1,256} [^\s]{1,256} initialization started\.))$",
    re.MULTILINE,
)


class Kind(StrEnum):
    """What a line of the log tells: the names of the groups of :data:`ENTRY`."""

    STARTED = "started"
    SESSIONS = "sessions"
    RUNNING = "running"
    WAITING = "waiting"
    QUERIES = "queries"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that tells something: a number, and when it was written, in seconds since the epoch.

    A start of xproofd has neither.
    """

    kind: Kind
    number: int = 0
    written_at_s: float = float("-inf")


def parse_log(lines: bytes) -> Iterator[Entry]:
    """Yield what whole lines of the log tell, in their order; other lines, and impossible dates, are passed over."""
    for match in ENTRY.finditer(lines):
        kind = Kind(str(match.lastgroup))
        if kind is Kind.STARTED:
            yield Entry(kind)
        elif (written_at_s := _local_time(match["time"])) is not None:
            yield Entry(kind, int(match[kind]), written_at_s)


def _local_time(stamp: bytes) -> float | None:
    try:
        return datetime.strptime(stamp.decode(), "%y%m%d %H:%M:%S").astimezone().timestamp()
    except (ValueError, OverflowError):
        return None
