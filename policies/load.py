"""PROOF load over time, queued and running sessions together: what several policies look back at."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Sample, Window

# When it was read, and sessions, ``None`` where they are unknown.
Load = tuple[datetime, float | None]

_AT = attrgetter("at")


def recent_loads(window: Window, span: timedelta) -> list[Load] | None:
    """Loads reading by reading over the last ``span``.

    ``None`` when the history does not reach back that far, or has nothing that new.
    """
    start = window.now - span
    loads = all_loads(window)
    if not loads or loads[0][0] > start:
        return None
    return loads[bisect_left(loads, start, key=itemgetter(0)) :] or None


def all_loads(window: Window) -> list[Load]:
    """Loads reading by reading, as far back as the window goes."""
    queued, running = (window.signal(name).samples for name in (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS))
    return [
        (one.at, None if one.value is None or other.value is None else one.value + other.value)
        for one, other in _side_by_side(queued, running)
    ]


def _side_by_side(queued: Iterable[Sample], running: Iterable[Sample]) -> Iterable[tuple[Sample, Sample]]:
    """Readings of the same times; what was read at one time only is not known at the other."""
    if [*map(_AT, queued)] == [*map(_AT, running)]:
        return zip(queued, running, strict=True)
    waiting, served = ({sample.at: sample.value for sample in samples} for samples in (queued, running))
    times = sorted(waiting.keys() | served.keys())
    return [(Sample(at, waiting.get(at)), Sample(at, served.get(at))) for at in times]


def minutes(span: timedelta) -> str:
    """A time span as reasons say it: in minutes where those are whole."""
    seconds = span.total_seconds()
    return f"{seconds:g} s" if seconds % 60 else f"{seconds / 60:g} min"
