"""Whatever is made to fool it, the learned policy costs little more than the threshold rule."""

from datetime import timedelta

import pytest

from autoscaler.simulation.simulate import simulate
from tests.policies.adversarial import BAD, EPISODES, START, Altered, cost, fooled, rule, scenario, unread, workload

# Over the end of summer time, with a few hours in which a model that turned bad can do harm.
HOURS = 15.0


@pytest.mark.parametrize("episode", EPISODES)
def test_a_model_that_turns_bad_costs_at_most_five_percent_more(episode: str) -> None:
    played = workload(episode, HOURS)
    assert cost(fooled(BAD["turns bad"]), played) <= 1.05 * cost(rule(), played)


@pytest.mark.parametrize("model", sorted(BAD.keys() - {"turns bad", "a few too many"}))
def test_a_model_that_is_bad_from_the_beginning_costs_nothing(model: str) -> None:
    """Its forecast never has a say, and no move is another one."""
    played = workload("regular", HOURS)
    bad, ruled = (simulate(scenario(), played, policy, "policy") for policy in (fooled(BAD[model]), rule()))
    assert [(move.at_s, move.host, move.workers_to) for move in bad.moves] == [
        (move.at_s, move.host, move.workers_to) for move in ruled.moves
    ]


def test_hours_without_data_cost_at_most_five_percent_more() -> None:
    played = workload("regular", HOURS)
    begin, end = START + timedelta(hours=7), START + timedelta(hours=12)
    ruled, bad = (cost(Altered(policy, unread(begin, end)), played) for policy in (rule(), fooled(BAD["turns bad"])))
    assert bad <= 1.05 * ruled
