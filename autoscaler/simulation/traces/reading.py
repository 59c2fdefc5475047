"""What others read from the storage: CSV of transfers (start, fsz, elap) or of a rate (at_s, bytes_per_second)."""

import math
from collections.abc import Iterator
from datetime import timedelta, tzinfo
from itertools import pairwise
from pathlib import Path

import numpy as np

from autoscaler.simulation.traces.binning import Amounts, spread
from autoscaler.simulation.traces.clock import LATEST_S, LONGEST_TRACE_S
from autoscaler.simulation.traces.table import Table, open_table
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.traces.usable import NOT_A_NUMBER, no_row, too_long
from autoscaler.simulation.workload import Reading

_LONGEST_TRANSFER_MS = 86_400_000.0
# Logs round to nothing what took less than they measure.
_SHORTEST_TRANSFER_MS = 1.0
_MOST_BYTES = 1e18

# Begin, end, bytes.
_Span = tuple[float, float, float]


def read_reading(path: Path, *, step_s: float = 300.0, timezone: tzinfo | None = None) -> Trace[Reading]:
    """Return the throughput in steps of ``step_s``; raises ``TraceError``.

    ``timezone`` is for a file that does not tell its own. A rate holds until the next one.
    """
    table = open_table(path, timezone=timezone)
    if table.is_swf:
        raise TraceError(
            f"{path}: is SWF; throughput comes as CSV with start, fsz, elap or with at_s, bytes_per_second"
        )
    spans = list(_transfers(table) if "fsz" in table.columns else _rates(table))
    if not spans:
        raise no_row(table)
    amounts = Amounts(*np.array(spans).T)
    first_s = math.floor(amounts.begin_s.min() / step_s) * step_s
    if amounts.end_s.max() - first_s > LONGEST_TRACE_S:
        raise too_long(path)
    rates = spread(amounts, first_s, step_s) / step_s
    start = table.clock.start + timedelta(seconds=first_s)
    reading = Reading(step_s, tuple(rates.tolist()))
    return Trace(path, reading, start, table.clock.timezone, dict(table.skipped), table.clock.notes)


def _transfers(table: Table) -> Iterator[_Span]:
    for start_s, size, elapsed_ms in _numbers(table, "start", "fsz", "elap"):
        if elapsed_ms > _LONGEST_TRANSFER_MS:
            table.skipped["a transfer of more than a day"] += 1
        elif 0 <= start_s <= LATEST_S and 0 <= size <= _MOST_BYTES and elapsed_ms >= 0:
            yield start_s, start_s + max(elapsed_ms, _SHORTEST_TRANSFER_MS) / 1000, size
        else:
            table.skipped["a time or a size that cannot be"] += 1


def _rates(table: Table) -> Iterator[_Span]:
    rates = []
    for at_s, rate in _numbers(table, "at_s", "bytes_per_second"):
        if 0 <= at_s <= LATEST_S and 0 <= rate <= _MOST_BYTES:
            rates.append((at_s, rate))
        else:
            table.skipped["a time or a rate that cannot be"] += 1
    # How long the last one holds, nothing says.
    for (at_s, rate), (until_s, _) in pairwise(sorted(rates)):
        if until_s > at_s:
            yield at_s, until_s, rate * (until_s - at_s)
        else:
            table.skipped["a second rate for the same time"] += 1


def _numbers(table: Table, *names: str) -> Iterator[list[float]]:
    places = [table.column(name) for name in names]
    for fields in table.rows:
        try:
            yield [float(fields[place]) for place in places]
        except ValueError:
            table.skipped[NOT_A_NUMBER] += 1
