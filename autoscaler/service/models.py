"""The model that acts, in the hands of the policy: found on the shelf, and exchanged when another one is let act."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoscaler.contracts import Policy
from autoscaler.core.decide import Rules
from autoscaler.learning.shelf import Model, ModelError, Shelf
from autoscaler.service.timed import TimedForecaster
from autoscaler.service.zone import zone_named

_log = logging.getLogger("autoscaler")


def shelf_beside(store: Path) -> Shelf:
    """The shelf of the controller whose store this is."""
    return Shelf(store.parent / "models")


def takes_a_model(policy: Policy) -> bool:
    """Whether a policy has a place for a forecaster."""
    return dataclasses.is_dataclass(policy) and any(each.name == "forecaster" for each in dataclasses.fields(policy))


class ActingModel:
    """Gives a policy the model that acts now; without one it has none, and is what it is in a cold start.

    Each problem is told once, when the shelf says anew which model acts; none of them is an exception.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._looked: tuple[Rules, tuple[int, int, int] | None] | None = None
        self._given: Rules | None = None

    def given(self, rules: Rules) -> Rules:
        """The rules, their policies with the model that acts: the acting one, and the shadows."""
        if not any(map(takes_a_model, (rules.policy, *rules.shadows.values()))):
            return rules
        # The stamp comes first: who promotes between the two is seen in the next cycle.
        seen = rules, self._shelf.stamp()
        if self._given is None or seen != self._looked:
            self._looked, self._given = seen, self._with_model(rules)
        return self._given

    def _with_model(self, rules: Rules) -> Rules:
        try:
            number = self._shelf.standing().acting
            if number is None:
                _log.info("no model acts: the policy goes without one")
                return rules
            model = self._shelf.read(number)
            fields = fields_of(model)
            shadows = {name: _filled(policy, fields) for name, policy in rules.shadows.items()}
            given = dataclasses.replace(rules, policy=_filled(rules.policy, fields), shadows=shadows)
        except (ModelError, ValueError) as error:
            _log.warning("the policy goes without a model: %s", error)
        except Exception:  # noqa: BLE001 - no model and no file of one ever ends a cycle
            _log.exception("the policy goes without a model: reading it failed unexpectedly")
        else:
            _log.info("model %d acts, made %s", number, model.card.made_at.isoformat(timespec="seconds"))
            return given
        return rules


def _filled(policy: Policy, fields: Mapping[str, object]) -> Policy:
    return with_fields(policy, fields) if takes_a_model(policy) else policy


def fields_of(model: Model) -> Mapping[str, object]:
    """What a policy gets of a model; raises ``ValueError`` where this machine cannot tell its hours."""
    data = model.card.data
    return {"forecaster": TimedForecaster(model.forest), "trained_until": data.end, "zone": zone_named(data.zone)}


def with_fields(policy: Policy, fields: Mapping[str, object]) -> Policy:
    """The policy with those of the fields that it has a place for."""
    own: Any = policy
    places = {each.name for each in dataclasses.fields(own)}
    given: Policy = dataclasses.replace(own, **{name: value for name, value in fields.items() if name in places})
    return given
