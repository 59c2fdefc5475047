"""PROOF load over time, queued and running sessions together: what several policies look back at."""

from datetime import timedelta

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Sample, Window


def recent_loads(window: Window, span: timedelta) -> list[Sample] | None:
    """Loads sample by sample over the last ``span``.

    ``None`` when the history does not reach back that far, or has nothing that new.
    """
    start = window.now - span
    queued = {sample.at: sample.value for sample in window.signal(PROOF_QUEUED_SESSIONS).samples}
    running = {sample.at: sample.value for sample in window.signal(PROOF_RUNNING_SESSIONS).samples}
    # As a rule both were read at the same times, which are then in order.
    times = list(queued) if queued.keys() == running.keys() else sorted(queued.keys() | running.keys())
    if not times or times[0] > start:
        return None
    return [Sample(at, _sum(queued.get(at), running.get(at))) for at in times if at >= start] or None


def minutes(span: timedelta) -> str:
    """A time span as reasons say it."""
    return f"{span.total_seconds() / 60:g} min"


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
