"""What the reports of each server add up to: counters that go on over restarts, losses and wraps without a jump."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from exporters.xrootd.reports import INT32, READ_BYTES, WRITTEN_BYTES, BadReport, Key, Report, Sender

# More senders than any facility has: someone invents them, and each one would cost memory and time series.
MAX_SERVERS = 1000

# A server that was silent for a week has been taken away; until then its silence is worth an alert.
FORGET_AFTER_S = 7 * 86400.0

# No packet is on its way for longer: what seems to be older was sent after the server's clock had been set back.
LONGEST_DELAY_S = 60

# Several servers may share a name, and a restarted one has another process: so many are remembered beside the newest.
MOST_OTHER_PROCESSES = 7

BYTES = (READ_BYTES, WRITTEN_BYTES)


@dataclass(frozen=True, slots=True)
class Tally:
    """One server's last report, when it came (seconds since the epoch), and what it counted since its first report.

    ``reports`` counts the reports, those too that were overtaken on their way. ``others`` are the last reports of the
    processes that reported before this one: one may be on its way still, or several servers may share a name.
    """

    report: Report
    came_at_s: float
    reports: int = 1
    totals: Mapping[Key, int] = field(default_factory=dict)
    others: tuple[Report, ...] = ()

    @classmethod
    def of(cls, report: Report, came_at_s: float) -> "Tally":
        """Return the tally of a server's first report: what was counted before it was, nobody knows when."""
        return cls(report, came_at_s, totals=dict.fromkeys(report.counters, 0))

    def after(self, report: Report, came_at_s: float) -> "Tally":
        """Return the tally with one more report."""
        counted = replace(self, reports=self.reports + 1)
        last = self._last_of(report.process)
        if last is not None and was_overtaken(report, last):
            return counted
        totals = self._grown(report, last)
        others = [each for each in self.others if each.process != report.process]
        if last is not None and last is not self.report and is_late(report, self.report):
            return replace(counted, totals=totals, others=(report, *others))
        if last is not self.report:
            others = [self.report, *others][:MOST_OTHER_PROCESSES]
        return replace(counted, report=report, came_at_s=came_at_s, totals=totals, others=tuple(others))

    def _last_of(self, process: tuple[int, int]) -> Report | None:
        return next((each for each in (self.report, *self.others) if each.process == process), None)

    def _grown(self, report: Report, last: Report | None) -> dict[Key, int]:
        # A restarted server counts from 0 again, so what it has counted so far is what is new. A counter that the same
        # process did not have before is one of which nobody knows when it counted.
        before = dict.fromkeys(report.counters, 0) if last is None else last.counters
        return {
            key: self.totals.get(key, 0) + growth(before.get(key, value), value, wraps=key not in BYTES)
            for key, value in report.counters.items()
        }


def was_overtaken(report: Report, last: Report) -> bool:
    """Say whether ``report`` was made before ``last`` by the same process; reports have whole seconds only."""
    if report.made_at_s == last.made_at_s:
        return any(report.counters[key] < last.counters[key] for key in BYTES)
    return is_late(report, last)


def is_late(report: Report, newest: Report) -> bool:
    """Say whether ``report`` was made before ``newest`` and may have been on its way since."""
    return newest.made_at_s - LONGEST_DELAY_S <= report.made_at_s < newest.made_at_s


def growth(before: int, after: int, *, wraps: bool) -> int:
    """Return by how much a counter grew; one that ``wraps``, having 32 bits, may have begun anew at 0 in between."""
    if after >= before:
        return after - before
    if not wraps:
        return 0
    wrapped = (after - before) % INT32
    return wrapped if before < INT32 and wrapped < INT32 // 2 else 0


class Tallies:
    """The tallies of all servers, at most :data:`MAX_SERVERS`.

    A server is silent ``ttl_s`` seconds after its last report, and forgotten after :data:`FORGET_AFTER_S`, or when a
    new one needs its place. Times are seconds since the epoch.
    """

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        # The one that has been silent for longest comes first.
        self._by_sender: OrderedDict[Sender, Tally] = OrderedDict()

    def add(self, report: Report, now: float) -> None:
        """Add a report; raises :class:`BadReport` if it is of one server too many."""
        tally = self._by_sender.get(report.sender)
        if tally is None:
            self._make_room(now)
            self._by_sender[report.sender] = Tally.of(report, now)
            return
        self._by_sender[report.sender] = grown = tally.after(report, now)
        if grown.came_at_s != tally.came_at_s:
            self._by_sender.move_to_end(report.sender)

    def _make_room(self, now: float) -> None:
        if len(self._by_sender) < MAX_SERVERS:
            return
        sender, oldest = next(iter(self._by_sender.items()))
        if not self.is_silent(oldest, now):
            raise BadReport("there are too many servers already")
        del self._by_sender[sender]

    def is_silent(self, tally: Tally, now: float) -> bool:
        """Say whether a server should have reported again."""
        return now - tally.came_at_s > self._ttl_s

    def remembered(self, now: float) -> list[Tally]:
        """Return the tallies, silent servers among them; the forgotten ones are dropped."""
        for sender, tally in list(self._by_sender.items()):
            if now - tally.came_at_s > max(FORGET_AFTER_S, self._ttl_s):
                del self._by_sender[sender]
        return list(self._by_sender.values())
