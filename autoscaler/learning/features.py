"""What a forecast is made from: the loads of the last four hours, a minute apart, and the local hour and weekday.

A load is how many sessions are there, queued and running. A feature of a stretch of time is of the minutes that are
known in it, and NaN where none is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HISTORY_MIN = 240
_LAGS = (1, 2, 5, 10, 20, 40)
_COUNTED = (1, 2, 5, 15, 60, 240)
_SPANS = (15, 60, 240)
# What is started by a clock comes at the same minute of many hours: what came after this one in the hours before.
_PAST_HOURS = (1, 2, 3, 4)
_AHEAD = ((0, 1), (1, 2), (2, 5), (5, 10))

FEATURES: tuple[str, ...] = (
    "load",
    *(f"change_{lag}min" for lag in _LAGS),
    *(f"arrivals_{span}min" for span in _COUNTED),
    *(f"departures_{span}min" for span in _COUNTED),
    *(f"above_highest_{span}min" for span in _SPANS),
    *(f"above_mean_{span}min" for span in _SPANS),
    *(f"past_hours_{begin}_{end}min" for begin, end in _AHEAD),
    "minutes_since_arrival",
    "minutes_since_departure",
    "hour",
    "weekday",
)

# As many rows at once as keep their windows in a few dozen MiB.
_BLOCK = 8192
_DAY_S = 86_400.0
# Clocks are changed on the quarter of an hour everywhere.
_QUARTER_S = 900.0
# Unix time began on a Thursday; Monday is 0.
_FIRST_WEEKDAY = 3


def rows(loads: Floats, start: datetime, zone: tzinfo = UTC) -> Floats:
    """Return the features at each minute of a series that has one load each minute from ``start`` on."""
    if not len(loads):
        return np.empty((0, len(FEATURES)))
    padded: Floats = np.concatenate([np.full(HISTORY_MIN, np.nan), np.asarray(loads, dtype=np.float64)])
    windows: Floats = np.lib.stride_tricks.sliding_window_view(padded, HISTORY_MIN + 1)
    at_s: Floats = start.timestamp() + 60.0 * np.arange(len(windows), dtype=np.float64)
    found = np.empty((len(windows), len(FEATURES)))
    for begin in range(0, len(windows), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        found[block] = _features(windows[block], at_s[block], zone)
    return found


def row(loads: Sequence[float] | Floats, now: datetime, zone: tzinfo = UTC) -> Floats:
    """Return the features at ``now``, the time of the newest load; of older ones than HISTORY_MIN none counts."""
    newest = np.asarray(loads, dtype=np.float64)[-HISTORY_MIN - 1 :]
    window: Floats = np.concatenate([np.full(HISTORY_MIN + 1 - len(newest), np.nan), newest])
    found: Floats = _features(window[None, :], np.array([now.timestamp()]), zone)[0]
    return found


def _features(windows: Floats, at_s: Floats, zone: tzinfo) -> Floats:
    """One row for each window, whose last load is of ``at_s``."""
    back = windows[:, ::-1]
    load = back[:, 0]
    steps = back[:, :-1] - back[:, 1:]
    known = np.cumsum(~np.isnan(steps), axis=1)
    came = np.cumsum(np.fmax(np.nan_to_num(steps), 0.0), axis=1)
    left = np.cumsum(np.fmax(np.nan_to_num(-steps), 0.0), axis=1)
    columns = [load, *(load - back[:, lag] for lag in _LAGS)]
    columns += [_moved(moves, known, [(0, span)]) for moves in (came, left) for span in _COUNTED]
    columns += [load - highest for highest in _highest(back)]
    columns += [load - mean for mean in _means(back)]
    columns += [_moved(came, known, _past(*minutes)) for minutes in _AHEAD]
    columns += [_since(came), _since(left), *_clock(at_s, zone)]
    return np.stack(columns, axis=1)


def _past(begin: int, end: int) -> list[tuple[int, int]]:
    """From ``begin`` to ``end`` minutes after this minute of each of the past hours, as minutes back."""
    return [(60 * hour - end, 60 * hour - begin) for hour in _PAST_HOURS]


def _moved(moves: Floats, known: NDArray[np.int64], stretches: list[tuple[int, int]]) -> Floats:
    """How much moved in these stretches of minutes back, of sums that go back from now."""
    total, steps = np.zeros(len(moves)), np.zeros(len(moves), dtype=np.int64)
    for begin, end in stretches:
        total += moves[:, end - 1] - (moves[:, begin - 1] if begin else 0.0)
        steps += known[:, end - 1] - (known[:, begin - 1] if begin else 0)
    return np.where(steps > 0, total, np.nan)


def _highest(back: Floats) -> list[Floats]:
    so_far = np.fmax.accumulate(back, axis=1)
    return [so_far[:, span] for span in _SPANS]


def _means(back: Floats) -> list[Floats]:
    # Summed in the order of time, so that a row has the same last bit alone and among others.
    known = np.cumsum(~np.isnan(back), axis=1)
    total = np.cumsum(np.nan_to_num(back), axis=1)
    return [
        np.divide(total[:, span], known[:, span], out=np.full(len(back), np.nan), where=known[:, span] > 0)
        for span in _SPANS
    ]


def _since(moves: Floats) -> Floats:
    """Minutes since the last move; HISTORY_MIN where there was none."""
    moved = moves > 0.0
    since: Floats = np.where(moved.any(axis=1), moved.argmax(axis=1), moved.shape[1]).astype(np.float64)
    return since


def _clock(at_s: Floats, zone: tzinfo) -> tuple[Floats, Floats]:
    days, second = np.divmod(at_s + _offset_s(at_s, zone), _DAY_S)
    return second / 3600.0, (days + _FIRST_WEEKDAY) % 7


def _offset_s(at_s: Floats, zone: tzinfo) -> Floats:
    quarters, place = np.unique(np.floor(at_s / _QUARTER_S), return_inverse=True)
    moments = (datetime.fromtimestamp(float(quarter) * _QUARTER_S, zone) for quarter in quarters)
    offsets = (moment.utcoffset() for moment in moments)
    seconds = np.array([offset.total_seconds() if offset else 0.0 for offset in offsets], dtype=np.float64)
    found: Floats = seconds[place]
    return found
