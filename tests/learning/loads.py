"""Made loads: people come by day on working days, in bursts, and stay for some minutes."""

from datetime import UTC, datetime, timedelta

import numpy as np

from autoscaler.learning.features import Floats

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def made_loads(days: int, seed: int = 1) -> Floats:
    """One load each minute from ``MONDAY`` on."""
    chance = np.random.default_rng(seed)
    minutes = days * 1440
    at = [MONDAY + timedelta(minutes=minute) for minute in range(minutes)]
    busy = np.array([0.02 * (8 <= moment.hour < 18) * (moment.weekday() < 5) + 0.001 for moment in at])
    loads = np.zeros(minutes)
    for begin in np.flatnonzero(chance.random(minutes) < busy):
        for late in chance.integers(0, 4, chance.integers(1, 4)):
            loads[begin + late : begin + late + 1 + int(chance.exponential(8))] += 1
    return loads
