"""A model from a site's minutes: first how its recipe does on days it has not seen, then the model from all of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np

from autoscaler.config.schema import LEAST_PAST
from autoscaler.config.units import duration_text
from autoscaler.contracts import Policy
from autoscaler.learning.card import Backtest, Data, Draft, Score
from autoscaler.learning.features import FEATURES, Floats, rows
from autoscaler.learning.forest import QuantileForest
from autoscaler.learning.losses import pinball
from autoscaler.learning.shelf import versions_here
from autoscaler.learning.training import coming_rise, train
from autoscaler.service.backtest import Judge, split_of
from autoscaler.service.minutes import MINUTE, Minutes, TooLittleError
from autoscaler.service.models import with_fields
from autoscaler.service.zone import zone_text
from autoscaler.simulation.open_loop import Tell, Terms

# The low ones are what is shown of a forecast; between the high ones lies what a site's price asks for.
LEVELS = (0.05, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995)
LEARNED = "learned"
# Rows on which the importance of features is measured.
IMPORTANCE_ROWS = 4000
SEED = 20240501


@dataclasses.dataclass(frozen=True, slots=True)
class Contest:
    """The learned policy, still without a model, and what it is held against, the one it has to beat first.

    The ``judge`` has them played; the ``terms`` say what the policy's prices ask for.
    """

    learned: Policy
    others: Mapping[str, Policy]
    terms: Terms
    judge: Judge


def make_model(minutes: Minutes, contest: Contest, horizon_min: int, tell: Tell) -> tuple[Draft, QuantileForest]:
    """Train, judge, train on all; raises ``TooLittleError``, and ``TrainingError`` for loads that teach nothing.

    ``tell`` is told the share that is done.
    """
    known = (len(minutes.loads) - minutes.gap_minutes) * MINUTE
    if known < LEAST_PAST:
        raise TooLittleError(
            f"{minutes.source}: {known / timedelta(days=1):.1f} days with a known load, at least "
            f"{duration_text(LEAST_PAST)} are needed to train a model: ask for more (--since, learning.since), or come "
            "back later"
        )
    split = split_of(len(minutes.loads))
    judged = _learned_from(minutes.part(0, split), horizon_min, lambda share: tell(0.2 * share))
    backtest = _backtest(minutes, split, judged, contest, lambda share: tell(0.2 + 0.5 * share))
    importance = _importance(judged, minutes, split, contest.terms)
    tell(0.75)
    forest = _learned_from(minutes, horizon_min, lambda share: tell(0.75 + 0.25 * share))
    data = Data(
        minutes.source,
        zone_text(minutes.zone),
        minutes.start,
        minutes.end,
        len(minutes.loads),
        minutes.gap_minutes,
    )
    draft = Draft(
        data=data,
        horizon_min=horizon_min,
        levels=LEVELS,
        features=FEATURES,
        versions=versions_here(),
        missed_arrivals_target=_target(contest.terms),
        backtest=backtest,
        importance=importance,
    )
    return draft, forest


def _learned_from(minutes: Minutes, horizon_min: int, tell: Tell) -> QuantileForest:
    return train(minutes.loads, minutes.start, horizon_min=horizon_min, levels=LEVELS, zone=minutes.zone, tell=tell)


def _backtest(minutes: Minutes, split: int, forest: QuantileForest, contest: Contest, tell: Tell) -> Backtest:
    # In its real life a model is made anew each night: here its age is not what is judged.
    fields = {"forecaster": forest, "trained_until": minutes.end, "zone": minutes.zone}
    policies = {LEARNED: with_fields(contest.learned, fields), **contest.others}
    own, *others = contest.judge.scores(policies, minutes, split, tell)
    return Backtest(
        minutes.at(split),
        minutes.end,
        (own, *others),
        passed=has_passed(others),
        verdict=_told(others),
        loop=contest.judge.loop,
        notes=contest.judge.notes,
    )


def _told(others: Sequence[Score]) -> str:
    """The verdicts in words; those that are the same for the same reason, together."""
    alike: dict[tuple[str | None, str], list[str]] = {}
    for each in others:
        alike.setdefault((each.verdict, each.reason), []).append(each.policy)
    return "; ".join(
        f"{verdict} {'against' if verdict == 'cannot tell' else 'than'} {_listed(names)} ({reason})"
        for (verdict, reason), names in alike.items()
    )


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def has_passed(others: Sequence[Score]) -> bool:
    """Whether the learned policy was better than the first of them, and worse than none."""
    return others[0].verdict == "better" and all(each.verdict != "worse" for each in others)


def _target(terms: Terms) -> float:
    """The share of arrivals that may find too little, by what waiting and idling cost."""
    return terms.idle_core_s / (terms.wait_core_s + terms.idle_core_s)


def _importance(forest: QuantileForest, minutes: Minutes, split: int, terms: Terms) -> dict[str, float]:
    """By which share the pinball loss on the judged days grows when one feature is shuffled, the largest first."""
    rise = coming_rise(minutes.loads, forest.horizon_min)[split:]
    usable = np.flatnonzero(~np.isnan(rise))
    if not len(usable):
        return {}
    random = np.random.default_rng(SEED)
    chosen = random.permutation(usable)[:IMPORTANCE_ROWS]
    matrix, truth = rows(minutes.loads, minutes.start, minutes.zone)[split:][chosen], rise[chosen]
    level = int(np.argmin(np.abs(np.array(forest.levels) - (1 - _target(terms)))))
    whole = _loss(forest, matrix, truth, level)
    grown = {}
    for column, name in enumerate(forest.features):
        shuffled = matrix.copy()
        shuffled[:, column] = random.permutation(shuffled[:, column])
        grown[name] = (_loss(forest, shuffled, truth, level) - whole) / whole if whole > 0 else 0.0
    return dict(sorted(grown.items(), key=lambda each: -each[1]))


def _loss(forest: QuantileForest, matrix: Floats, truth: Floats, level: int) -> float:
    return pinball([forest.levels[level]], forest.predict_rows(matrix)[:, level], truth)
