"""What policies wanted, held against the load that came."""

from datetime import timedelta

import pytest

from autoscaler.core.voices import ACTING
from autoscaler.model import Decision, Demand, Opinion, Situation
from autoscaler.simulation.scores import Score, Scores
from autoscaler.testing import NOW, proof_window

MINUTE = timedelta(minutes=1)


def scored(*cycles: tuple[float | None, int | None], **changes: Demand) -> dict[str, Score]:
    """Cycles a minute apart, each with the sessions there and the workers wanted; a session needs two."""
    scores = Scores(2, 2 * MINUTE, 10 * MINUTE)
    for number, (load, workers) in enumerate(cycles):
        at = NOW + number * MINUTE
        opinions = tuple(Opinion(name, "Other()", demand) for name, demand in changes.items())
        window = proof_window([load], [0.0], now=at)
        scores.add(Decision(at, "Ours()", Situation(window, ()), Demand(workers, ""), (), opinions=opinions))
    return {score.name: score for score in scores}


def test_a_session_that_found_enough_wanted_a_reaction_before_is_served() -> None:
    score = scored((0, 4), (0, 4), (0, 4), (2, 4))[ACTING]
    assert (score.arrivals, score.missed_ratio) == (2, 0)


def test_a_session_is_missed_when_its_workers_were_wanted_only_when_it_came() -> None:
    score = scored((0, 0), (0, 0), (0, 0), (1, 2), (1, 2))[ACTING]
    assert (score.arrivals, score.missed_ratio) == (1, 1)


def test_of_sessions_that_come_together_those_are_missed_that_had_no_place() -> None:
    """Six workers are three sessions; one was there, three more come."""
    score = scored((1, 6), (1, 6), (1, 6), (4, 6))[ACTING]
    assert score.missed_ratio == pytest.approx(1 / 3)


def test_workers_beyond_the_load_are_spare() -> None:
    """Known are the minutes after the reaction: with 4 and 2 spare."""
    score = scored((0, 4), (0, 4), (0, 4), (1, 4))[ACTING]
    assert (score.known_s, score.spare_workers_mean) == (120, 3)


def test_holding_wants_what_was_wanted_before() -> None:
    score = scored((0, 4), (0, None), (0, None), (0, None))[ACTING]
    assert (score.holds, score.changes, score.spare_workers_mean) == (3, 0, 4)


def test_changes_are_told_by_the_day() -> None:
    score = scored((0, 2), (0, 4), (0, 4), (0, 2), (0, 2))[ACTING]
    assert score.changes_per_day == pytest.approx(2 * 1440 / 3)


def test_an_unknown_load_and_a_pause_are_not_known_time() -> None:
    assert scored((0, 2), (0, 2), (None, 2), (0, 2))[ACTING].known_s == 0
    scores = Scores(2, 2 * MINUTE, 10 * MINUTE)
    for minutes in (0, 30):
        at = NOW + minutes * MINUTE
        scores.add(Decision(at, "", Situation(proof_window([0.0], [0.0], now=at), ()), Demand(2, ""), ()))
    assert [score.known_s for score in scores] == [0]


def heard(*opinions: str | None, every: timedelta = MINUTE) -> dict[str, Score]:
    """Nobody is there; beside the acting policy another one wants two workers, or is not there."""
    scores = Scores(2, 2 * MINUTE, 10 * MINUTE)
    for number, policy in enumerate(opinions):
        at = NOW + number * every
        others = () if policy is None else (Opinion("next", policy, Demand(2, "")),)
        window = proof_window([0.0], [0.0], now=at)
        scores.add(Decision(at, "Ours()", Situation(window, ()), Demand(2, ""), (), opinions=others))
    return {score.policy: score for score in scores}


def test_a_policy_that_is_not_asked_any_more_is_not_scored_on() -> None:
    found = heard(*["Other()"] * 5, *[None] * 20)
    assert found["Other()"].known_s == 4 * 60
    assert found["Ours()"].known_s == 23 * 60


def test_a_policy_with_another_model_is_the_same_one() -> None:
    found = heard("learned (hold: 5m)", "learned (hold: 6m)")
    assert list(found) == ["Ours()", "learned (hold: 5m)", "learned (hold: 6m)"]


def test_what_a_guard_raised_is_no_error_of_the_policy() -> None:
    scores = Scores(2, 2 * MINUTE, 10 * MINUTE)
    situation = Situation(proof_window([0.0], [0.0], now=NOW), ())
    scores.add(Decision(NOW, "Ours()", situation, Demand(2, "two"), (), error="guard failed on host-1"))
    scores.add(Decision(NOW + MINUTE, "Ours()", situation, Demand(None, "it failed"), (), error="it failed"))
    assert [score.errors for score in scores] == [1]


def test_a_shadow_policy_is_scored_beside_the_acting_one() -> None:
    found = scored((0, 0), (0, 0), (0, 0), (1, 0), next=Demand(8, ""))
    assert (found[ACTING].missed_ratio, found["next"].missed_ratio) == (1, 0)


def test_at_least_so_many_takes_nothing_away() -> None:
    scores = Scores(2, 2 * MINUTE, 10 * MINUTE)
    for number, demand in enumerate([Demand(6, ""), Demand(2, "", may_shrink=False), Demand(2, "")]):
        at = NOW + number * MINUTE
        scores.add(Decision(at, "", Situation(proof_window([0.0], [0.0], now=at), ()), demand, ()))
    assert [score.changes for score in scores] == [1]
