"""The open loop: a policy's wishes are there a stated time later, and are held against a load that is given."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import numpy as np
import pytest

from autoscaler.model import PROOF_RUNNING_SESSIONS, Demand, Memory, Window
from autoscaler.simulation.open_loop import Loads, Played, Terms, play
from policies.static import Static
from policies.threshold import Threshold

START = datetime(2026, 3, 2, tzinfo=UTC)
TERMS = Terms(reaction_min=2, workers_per_session=4, workers_max=40, wait_core_s=8.0, idle_core_s=0.5, move_core_s=90.0)
DAY = 1440


@dataclass(frozen=True)
class Follow:
    """Wants at once what is there."""

    signals: ClassVar[tuple[str, ...]] = (PROOF_RUNNING_SESSIONS,)
    history: ClassVar[timedelta] = timedelta(0)
    asked: list[datetime] = field(default_factory=list)

    def decide(self, window: Window) -> Demand:
        self.asked.append(window.now)
        running = window.latest(PROOF_RUNNING_SESSIONS)
        return Demand(None if running is None else int(4 * running), "as many as there are")


@dataclass(frozen=True)
class Timeless(Follow):
    """The same, and says that only the past counts."""

    timeless: ClassVar[bool] = True


@dataclass(frozen=True)
class Counting(Follow):
    """Wants a worker more in each cycle, by what it remembers."""

    def decide(self, window: Window) -> Demand:
        return Demand(int((window.memory.get("count") or (0.0,))[0] or 0), "one more")

    def remember(self, window: Window, demand: Demand) -> Memory:  # noqa: ARG002 - the protocol's
        return {"count": (float((demand.workers or 0) + 1),)}


def played(policy: Follow | Static | Threshold, *loads: float, judged_from: int = 0, terms: Terms = TERMS) -> Played:
    return play("mine", policy, Loads(START, np.array(loads, dtype=float), judged_from), terms, lambda _share: None)


def test_what_is_wanted_is_there_after_the_reaction_time() -> None:
    found = played(Follow(), 0, 0, 0, 1, 3, 3, 0, 0, 0, judged_from=2)
    assert found.ready.tolist() == [0, 0, 0, 1, 3, 3, 0]


def test_arrivals_that_find_too_little_are_missed() -> None:
    found = played(Follow(), 0, 0, 0, 2, 2, 2, 3, 3, judged_from=2)
    assert found.missed_arrivals_ratio == 1.0
    assert played(Static(8), 0, 0, 0, 2, 2, 2, 3, 3, judged_from=2).missed_arrivals_ratio == pytest.approx(1 / 3)


def test_without_arrivals_there_is_no_share_of_missed_ones() -> None:
    assert played(Static(8), 1, 1, 1).missed_arrivals_ratio is None


def test_spare_workers_are_those_beyond_the_load() -> None:
    assert played(Static(8), 1, 1, 0, 2).spare_workers_mean == pytest.approx((4 + 4 + 8 + 0) / 4)


def test_cost_is_waiting_and_idling_at_their_prices() -> None:
    found = played(Static(8), *([1.0, 3.0] * (3 * DAY + DAY // 2)))
    ((cost,), (weeks,)) = (found.weeks.shares["cost_per_week"].part, found.weeks.shares["cost_per_week"].whole)
    assert weeks == 1
    assert cost == pytest.approx(7 * DAY / 60 * (0.5 * 0.5 + 0.5 * 8.0))


def test_each_worker_that_is_moved_costs_either_way() -> None:
    found = played(Follow(), 0, 0, 1, 1, 0, 0, terms=replace(TERMS, wait_core_s=0.0, idle_core_s=0.0))
    assert found.weeks.shares["cost_per_week"].part.tolist() == pytest.approx([(4 + 4) * 90 / 3600])


def test_minutes_that_are_not_known_cost_nothing_and_do_not_count_as_time() -> None:
    week = np.ones(7 * DAY)
    week[: 7 * DAY // 2] = np.nan
    share = played(Static(8), *week).weeks.shares["cost_per_week"]
    assert share.whole.tolist() == [0.5]
    assert share.part[0] == pytest.approx(7 * DAY / 2 / 60 * 0.5)


def test_a_last_week_of_less_than_half_belongs_to_the_one_before() -> None:
    assert played(Static(0), *np.zeros(17 * DAY)).weeks.days.tolist() == [7, 10]
    assert played(Static(0), *np.zeros(18 * DAY)).weeks.days.tolist() == [7, 7, 4]


def test_more_than_there_is_is_not_there() -> None:
    assert played(Static(400), 0, 0).ready.tolist() == [10, 10]


def test_a_policy_that_holds_keeps_what_it_has() -> None:
    found = played(Follow(), 0, 2, float("nan"), float("nan"), 0, 0, 0, judged_from=2)
    assert found.ready.tolist() == [0, 2, 2, 2, 0]


def test_a_policy_that_must_not_shrink_keeps_what_it_has() -> None:
    gap = [2.0] * 30 + [float("nan")] + [1.0] * 10
    assert played(Threshold(workers_per_session=4), *gap).ready[-1] == 2


def test_what_a_policy_remembers_comes_back() -> None:
    assert played(Counting(), 0, 0, 0, 0, judged_from=2).ready.tolist() == [0, 0.25]


def test_a_policy_has_run_for_a_day_when_it_is_judged() -> None:
    policy = Follow()
    played(policy, *np.zeros(3 * DAY), judged_from=2 * DAY)
    assert policy.asked[0] == START + timedelta(minutes=DAY - 2)


def test_a_timeless_policy_is_asked_once_for_each_past_with_the_same_result() -> None:
    loads = [0, 0, 1, 1, 2, 2, 1, 1, 0, 0] * 20
    one, other = Timeless(), Follow()
    assert np.array_equal(played(one, *loads).ready, played(other, *loads).ready)
    assert len(one.asked) < len(other.asked) / 5
