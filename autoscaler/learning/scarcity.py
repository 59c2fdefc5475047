"""Whether workers for nobody would cost more than their price: jobs miss memory, and nobody has waited for long.

A forecast's price is that of workers in memory that nobody misses. Where guests read from their swap, jobs stand still
for it, and a worker for nobody costs a hundred times as much; so the threshold rule decides alone then. But where
sessions have waited for many minutes, workers that are given back do not come again for hours, and keeping them costs
less.
"""

from datetime import timedelta

from autoscaler.learning.notes import Doubt, Notes
from autoscaler.model import DOMAIN_SWAP_IN_BYTES_PER_SECOND, PROOF_QUEUED_SESSIONS, Window

# All guests together. One whose jobs miss memory reads several times as much, and one disk gives a hundred times.
SWAP_IN_BYTES_PER_SECOND = 2.0**20
# Somebody has waited for long when the queue was never empty for so long, and is remembered to have for so long.
LONG_WAIT = timedelta(minutes=10)
REMEMBERED_MIN = 3 * 24 * 60


def doubt_of_memory(window: Window, notes: Notes) -> Doubt:
    """What speaks against workers for nobody; nothing where it is not known what guests read."""
    read = window.latest(DOMAIN_SWAP_IN_BYTES_PER_SECOND)
    return Doubt.SWAPPING if read is not None and read > SWAP_IN_BYTES_PER_SECOND and not scarce(notes) else Doubt.NONE


def scarce(notes: Notes) -> bool:
    """Whether somebody has waited for long, not long ago."""
    waited, minute = notes.waited, notes.minute
    return waited is not None and minute is not None and minute - waited < REMEMBERED_MIN


def last_waited(notes: Notes, window: Window) -> int | None:
    """The last minute in which somebody had waited for long; it is looked for in the notes, and now."""
    queued, begin = window.signal(PROOF_QUEUED_SESSIONS).samples, window.now - LONG_WAIT
    reaches_back = bool(queued) and queued[0].at <= begin
    if reaches_back and all(sample.value for sample in queued if sample.at >= begin) and queued[-1].at >= begin:
        return notes.minute
    # A clock that was set back leaves a time that is still to come.
    return None if notes.waited is None or notes.minute is None else min(notes.waited, notes.minute)
