"""A small model, and what is said of it."""

from datetime import UTC, datetime, timedelta

import numpy as np

from autoscaler.learning.card import Backtest, Data, Draft, Score
from autoscaler.learning.features import FEATURES
from autoscaler.learning.forest import QuantileForest, Trees

NOW = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
VERSIONS = {"scikit-learn": "1.7.2", "numpy": "2.3.1", "vaf-autoscaler": "0.1.0"}


def a_forest(rise: float = 2.0) -> QuantileForest:
    """Two levels: nothing comes, or ``rise`` sessions when there are any now."""
    trees = Trees(
        feature=np.array([0, 0, 0, 0]),
        threshold=np.array([0.0, 0.5, 0.0, 0.0]),
        left=np.array([0, 2, 2, 3]),
        right=np.array([0, 3, 2, 3]),
        unknown_left=np.array([False] * 4),
        value=np.array([0.0, 0.0, 0.0, rise]),
        roots=np.array([0, 1]),
        level=np.array([0, 1]),
    )
    wide = np.full(len(FEATURES), 100.0)
    return QuantileForest((0.5, 0.95), 5, FEATURES, -wide, wide, np.zeros(2), trees)


def a_draft(**changed: object) -> Draft:
    """What a training that went well says."""
    day = timedelta(days=1)
    data = Data("sessions.csv", "Europe/Rome", NOW - 90 * day, NOW, 129_600, 60)
    scores = (Score("learned", 0.04, 1.5, 40.0, 10.0), Score("threshold", 0.1, 3.0, 20.0, 14.0, "better", "by weeks"))
    said = {
        "data": data,
        "horizon_min": 5,
        "levels": (0.5, 0.95),
        "features": FEATURES,
        "versions": VERSIONS,
        "missed_arrivals_target": 0.05,
        "backtest": Backtest(NOW - 36 * day, NOW, scores, passed=True, verdict="better than threshold"),
        "importance": {"load": 0.5},
    }
    return Draft(**said | changed)  # type: ignore[arg-type]
