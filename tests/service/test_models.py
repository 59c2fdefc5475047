"""The model that acts is in the policy's hands, another one takes its place, and trouble with one ends no cycle."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.learning.features import FEATURES
from autoscaler.learning.forest import QuantileForest
from autoscaler.learning.shelf import ModelError, Shelf, versions_here
from autoscaler.model import Decision, Demand, Facility, GuardLimits, Situation, Window
from autoscaler.service.models import ActingModel, PastModels, shelf_beside
from autoscaler.service.timed import TimedForecaster
from policies.threshold import Threshold
from tests.learning.models import NOW, a_draft, a_forest
from tests.service.plant import Plant, hosts_named


@dataclass(frozen=True, slots=True)
class Forecasting:
    """Wants what its model says of a load of one, and two workers without one."""

    signals: ClassVar[tuple[str, ...]] = ()
    history: ClassVar[timedelta] = timedelta(0)

    forecaster: QuantileForest | None = field(default=None, repr=False)
    trained_until: datetime | None = None
    zone: tzinfo | None = None

    def decide(self, window: Window) -> Demand:  # noqa: ARG002 - the protocol's
        if self.forecaster is None:
            return Demand(2, "no model")
        return Demand(int(self.forecaster.predict(np.ones(len(FEATURES)))[-1]), "by the model")


RULES = Rules(Forecasting(), GuardLimits())


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return shelf_beside(tmp_path / "decisions.sqlite")


def add(shelf: Shelf, rise: float = 4.0, **changed: object) -> int:
    return shelf.add(a_draft(versions=versions_here(), **changed), a_forest(rise), NOW).number


def policy_of(rules: Rules) -> Any:
    return rules.policy


def test_the_shelf_is_beside_the_store() -> None:
    assert shelf_beside(Path("/var/lib/vaf/decisions.sqlite")).folder == Path("/var/lib/vaf/models")


def test_without_a_shelf_the_policy_has_no_model(shelf: Shelf) -> None:
    assert policy_of(ActingModel(shelf).given(RULES)).forecaster is None


def test_the_policy_has_the_model_that_acts_with_its_age_and_its_zone(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    policy = policy_of(ActingModel(shelf).given(RULES))
    assert policy.decide(Window(NOW)).workers == 4
    assert (policy.trained_until, policy.zone) == (NOW, ZoneInfo("Europe/Rome"))


def test_a_policy_without_a_place_for_a_model_is_left_alone(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    rules = Rules(Threshold(), GuardLimits())
    assert ActingModel(shelf).given(rules) is rules


def test_a_shadow_policy_has_the_model_beside_a_policy_that_takes_none(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    rules = Rules(Threshold(), GuardLimits(), shadows={"next": Forecasting(), "still": Threshold()})
    given = ActingModel(shelf).given(rules)
    shadows: Any = given.shadows
    assert shadows["next"].forecaster is not None
    assert (given.policy, shadows["still"]) == (rules.policy, Threshold())


def test_a_model_that_is_promoted_later_is_taken_over_and_taken_back(shelf: Shelf) -> None:
    acting = ActingModel(shelf)
    seen = []
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: shelf.promote(add(shelf, 4.0)),
        lambda: shelf.promote(add(shelf, 8.0)),
        shelf.rollback,
        shelf.reset,
    ]
    for step in steps:
        step()
        seen.append(acting.given(RULES).policy.decide(Window(NOW)).workers)
    assert seen == [2, 4, 8, 4, 2]


def test_a_model_is_read_only_when_another_one_is_let_act(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    acting = ActingModel(shelf)
    one, other = (policy_of(acting.given(RULES)).forecaster for _ in range(2))
    assert one is other


def alter(shelf: Shelf) -> None:
    (shelf.folder / "0001" / "arrays.npz").write_bytes(b"altered")


def take_away(shelf: Shelf) -> None:
    (shelf.folder / "0001" / "card.json").unlink()


def muddle(shelf: Shelf) -> None:
    (shelf.folder / "current").write_text("muddle")


@pytest.mark.parametrize("harm", [alter, take_away, muddle])
def test_a_model_that_is_refused_is_one_warning_and_the_policy_goes_without(
    shelf: Shelf, harm: Callable[[Shelf], None], caplog: pytest.LogCaptureFixture
) -> None:
    shelf.promote(add(shelf))
    harm(shelf)
    acting = ActingModel(shelf)
    with caplog.at_level(logging.INFO, "autoscaler"):
        workers = [acting.given(RULES).policy.decide(Window(NOW)).workers for _ in range(3)]
    assert workers == [2, 2, 2]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("the policy goes without a model: /")


@pytest.mark.parametrize("harm", [alter, muddle])
def test_the_last_good_model_goes_on_while_the_one_that_acts_cannot_be_read(
    shelf: Shelf, harm: Callable[[Shelf], None], caplog: pytest.LogCaptureFixture
) -> None:
    shelf.promote(add(shelf))
    acting = ActingModel(shelf)
    acting.given(RULES)
    shelf.promote(add(shelf, 8.0))
    arrays, current = shelf.folder / "0002" / "arrays.npz", shelf.folder / "current"
    good = arrays.read_bytes(), current.read_bytes()
    arrays.write_bytes(b"altered") if harm is alter else harm(shelf)
    assert [acting.given(RULES).policy.decide(Window(NOW)).workers for _ in range(3)] == [4, 4, 4]
    arrays.write_bytes(good[0])
    current.write_bytes(good[1])
    assert acting.given(RULES).policy.decide(Window(NOW)).workers == 8
    assert caplog.text.count("the model before goes on") == 1


def test_a_guard_is_put_around_the_forecaster(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    assert isinstance(policy_of(ActingModel(shelf, TimedForecaster).given(RULES)).forecaster, TimedForecaster)
    assert not isinstance(policy_of(ActingModel(shelf).given(RULES)).forecaster, TimedForecaster)


@dataclass(frozen=True, slots=True)
class Picky(Forecasting):
    """Takes no model at all."""

    def __post_init__(self) -> None:
        if self.forecaster is not None:
            raise RuntimeError("not this one")


def test_a_policy_that_fails_on_its_model_goes_without(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.promote(add(shelf))
    assert policy_of(ActingModel(shelf).given(Rules(Picky(), GuardLimits()))).forecaster is None
    assert "reading it failed unexpectedly" in caplog.text


def test_a_zone_that_is_not_known_here_is_a_warning(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    data = msgspec.structs.replace(a_draft().data, zone="Moon/Tranquility")
    shelf.promote(add(shelf, data=data))
    assert policy_of(ActingModel(shelf).given(RULES)).forecaster is None
    assert "the time zone 'Moon/Tranquility' is not known here" in caplog.text


def test_a_running_controller_takes_over_a_promoted_model_at_its_next_cycle(tmp_path: Path) -> None:
    shelf = shelf_beside(tmp_path / "decisions.sqlite")
    plant = Plant(tmp_path, hosts_named("host-1"), policy=Forecasting(), with_model=ActingModel(shelf).given)
    wanted = [plant.cycle().decision.demand.workers]
    shelf.promote(add(shelf, 5.0))
    wanted.append(plant.cycle().decision.demand.workers)
    plant.close()
    assert wanted == [2, 5]


def decided(shelf: Shelf) -> Decision:
    """A decision by the model that acts now."""
    return decide(Situation(Window(NOW), ()), Facility(()), ActingModel(shelf).given(RULES))


def test_a_decision_names_the_model_it_was_made_with(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    assert decided(shelf).model == f"1 {shelf.read(1).card.sha256[:12]}"


def test_a_decision_without_a_model_says_so_where_the_policy_takes_one(shelf: Shelf) -> None:
    assert decided(shelf).model == "none"


def test_a_past_decision_gets_the_model_it_was_made_with(shelf: Shelf) -> None:
    shelf.promote(add(shelf, 4.0))
    made = decided(shelf)
    shelf.promote(add(shelf, 5.0))
    given = PastModels(shelf).given(RULES, made)
    assert given is not None
    assert given.policy.decide(Window(NOW)).workers == 4


def test_a_past_decision_that_was_made_without_a_model_gets_none(shelf: Shelf) -> None:
    made = decided(shelf)
    shelf.promote(add(shelf))
    assert PastModels(shelf).given(RULES, made) == replace(RULES, model="none")


def test_a_past_decision_of_a_policy_that_names_no_model_says_nothing_of_one(shelf: Shelf) -> None:
    made = decide(Situation(Window(NOW), ()), Facility(()), Rules(Threshold(), GuardLimits()))
    assert PastModels(shelf).given(RULES, made) is None


def test_a_model_that_a_shadow_names_is_the_one_of_the_decision(shelf: Shelf) -> None:
    shelf.promote(add(shelf))
    rules = ActingModel(shelf).given(Rules(Threshold(), GuardLimits(), shadows={"bold": Forecasting()}))
    made = decide(Situation(Window(NOW), ()), Facility(()), rules)
    assert PastModels(shelf).given(RULES, made) is not None


def test_another_model_of_the_same_number_is_not_taken_for_it(shelf: Shelf) -> None:
    shelf.promote(add(shelf, 4.0))
    made = decided(shelf)
    shutil.rmtree(shelf.folder)
    add(shelf, 5.0)
    models = PastModels(shelf)
    for _ in range(2):
        with pytest.raises(ModelError, match="model 1 is not the one any more that was called 1 "):
            models.given(RULES, made)
