"""Kubernetes VPA: a percentile of what was used, from a histogram that forgets, and when to follow it."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from tests.benchmarks.peers.site import UNKNOWN, Site

_DAY = timedelta(days=1)
# Weights grow by two each half-life; beyond this many they are all made smaller (decaying_histogram.go).
_MAX_EXPONENT = 100


class DecayingHistogram:
    """Weights in buckets that are each 5 % wider than the one before; a sample weighs half after ``half_life``.

    The first bucket ends at 0.01, the last begins at 1000 (cores): recommender/model/aggregations_config.go. A
    percentile is the end of its bucket. What is in the first bucket counts as 0: for the VPA it is 10 millicores, here
    it would be a whole worker for nobody.
    """

    FIRST, MOST, RATIO = 0.01, 1000.0, 1.05

    def __init__(self, half_life: timedelta) -> None:
        self._half_life = half_life
        self._weights = np.zeros(self._bucket(self.MOST) + 1)
        self._reference: datetime | None = None

    def add(self, value: float, at: datetime) -> None:
        """Count a sample; they come in the order of their time."""
        self._reference = self._reference or at
        exponent = (at - self._reference) / self._half_life
        if exponent > _MAX_EXPONENT:
            self._weights *= 2.0**-exponent
            self._reference, exponent = at, 0.0
        self._weights[min(self._bucket(value), len(self._weights) - 1)] += 2.0**exponent

    def percentiles(self, *shares: float) -> NDArray[np.float64]:
        """The values that so large shares of the weight do not exceed."""
        sums = np.cumsum(self._weights)
        buckets = np.minimum(np.searchsorted(sums, np.array(shares) * sums[-1]), len(sums) - 1)
        ends = self.FIRST * (self.RATIO ** (buckets + 1) - 1) / (self.RATIO - 1)
        return np.where(buckets == 0, 0.0, np.minimum(ends, self.MOST))

    def _bucket(self, value: float) -> int:
        return int(math.log(value * (self.RATIO - 1) / self.FIRST + 1) / math.log(self.RATIO))


@dataclass(slots=True)
class Vpa:
    """Request the 90th percentile of what was wanted, plus 15 %; follow it when the request is out of bounds.

    From kubernetes/autoscaler 55c37cd5eb, recommender/logic and updater: target p90, lower bound p50 and upper bound
    p95, all of a histogram with a half-life of 24 h and times 1.15; the lower one times ``(1 + 0.001/N)^-2``, the upper
    one times ``1 + 1/N`` with N days of history (the smaller of its span and its samples / 1440). A request outside the
    bounds is replaced by the target at once; another one after 12 h, when the target differs by more than 10 %.

    As a policy for PROOF: usage is the workers that sessions want, sampled each cycle, as the VPA samples CPU. A
    worker's memory is counted with it. Pods that start anew at each change of their request are left out.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    site: Site
    target_percentile: float = 0.90
    margin: float = 0.15
    half_life: timedelta = _DAY
    lower_percentile: float = 0.50
    upper_percentile: float = 0.95
    settled_for: timedelta = timedelta(hours=12)
    update_threshold: float = 0.10
    _usage: DecayingHistogram = field(init=False, repr=False)
    _samples: int = field(default=0, init=False, repr=False)
    _since: datetime | None = field(default=None, init=False, repr=False)
    _request: float | None = field(default=None, init=False, repr=False)
    _changed_at: datetime | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._usage = DecayingHistogram(self.half_life)

    def decide(self, window: Window) -> Demand:
        """Add what is wanted now to the histogram, and replace the request if the updater would."""
        wanted = self.site.wanted(window)
        if wanted is None:
            return Demand(None, UNKNOWN)
        now = window.now
        self._usage.add(wanted, now)
        self._samples += 1
        self._since = self._since or now
        shares = (self.lower_percentile, self.target_percentile, max(self.upper_percentile, self.target_percentile))
        lower, target, upper = (float(value) * (1 + self.margin) for value in self._usage.percentiles(*shares))
        days = min((now - self._since) / _DAY, self._samples / 1440)
        if days:
            lower, upper = lower * (1 + 0.001 / days) ** -2, upper * (1 + 1 / days)
        else:
            lower, upper = 0.0, math.inf
        if self._request is None or not lower <= self._request <= upper or self._overdue(now, target):
            self._request, self._changed_at = target, now
        reason = f"{wanted:g} workers wanted; {target:.2f} is the target between {lower:.2f} and {upper:.2f}"
        return Demand(math.ceil(self._request), reason)

    def _overdue(self, now: datetime, target: float) -> bool:
        """Whether a request within its bounds is old enough, and different enough, to be replaced."""
        if self._request is None or self._changed_at is None or now - self._changed_at < self.settled_for:
            return False
        return abs(target - self._request) > self.update_threshold * self._request
