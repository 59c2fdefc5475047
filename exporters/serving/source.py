"""One source of an exporter, and what it raises when it cannot be read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.core import Metric

# Prometheus' default scrape_timeout is 10 s: what is known must be on its way before.
READ_DEADLINE_S = 9.0


class SourceUnavailable(Exception):  # noqa: N818 - it is a state of the source, not a mistake
    """The source cannot be read now.

    ``reason`` is one sentence for the log, without numbers that change at each read: a new sentence is a new log line.
    ``known`` holds the metrics that are true nevertheless, for example that the daemon behind the source is down.
    """

    def __init__(self, reason: str, known: Iterable[Metric] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class Source:
    """One source and how it is read.

    ``name`` is the prefix of all its metrics. ``read`` returns the value metrics or raises :class:`SourceUnavailable`;
    it is never called twice at the same time, and given up after ``deadline_s`` seconds, after which the source is
    down until the call has come back. ``last_success`` is for a source that is told rather than asked: when the newest
    data came, in seconds since the epoch, None = never. Without it, the start of the last good read counts.
    """

    name: str
    read: Callable[[], Iterable[Metric]]
    last_success: Callable[[], float | None] | None = None
    deadline_s: float = READ_DEADLINE_S
