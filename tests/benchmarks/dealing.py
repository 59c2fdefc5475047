"""The same facility with the machines' names dealt anew.

Which machine has which name is luck: it decides who asks which machine first, and where machines are full one wait of
hours follows from it or does not, with whatever policy. Means over dealings have less of that luck.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np

from autoscaler.simulation.compare import Share, Weekly
from autoscaler.simulation.scenario import Scenario


def dealt(scenario: Scenario, dealing: int) -> Scenario:
    """The machines in another order of their names; the first dealing, 0, leaves them as they are."""
    machines = list(scenario.machines)
    if dealing:
        random.Random(dealing).shuffle(machines)
    return replace(scenario, machines=tuple(machines))


def mean_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each figure over the dealings; null where one of them has none, and words are the first one's."""
    return {key: _mean([row[key] for row in rows]) for key in rows[0]}


def mean_weeks(dealings: Sequence[Weekly]) -> Weekly:
    """A policy's weeks in the mean over the dealings."""
    first = dealings[0]
    shares = {
        key: Share(
            np.mean([each.shares[key].part for each in dealings], axis=0),
            np.mean([each.shares[key].whole for each in dealings], axis=0),
        )
        for key in first.shares
    }
    return replace(first, shares=shares)


def _mean(values: Sequence[Any]) -> Any:
    if any(value is None for value in values):
        return None
    return fmean(values) if isinstance(values[0], int | float) else values[0]
