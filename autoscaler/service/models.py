"""The model that acts, in the hands of the policy: found on the shelf, and exchanged when another one is let act."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autoscaler.contracts import Forecaster, Policy
from autoscaler.core.rules import Rules
from autoscaler.learning.card import Card
from autoscaler.learning.shelf import Model, ModelError, Shelf
from autoscaler.model import NO_MODEL, Decision
from autoscaler.service.zone import zone_named

_log = logging.getLogger("autoscaler")

# Of a sha256 so much tells models of one number apart, where a folder was removed and its number used again.
_SHORT = 12


def shelf_beside(store: Path) -> Shelf:
    """The shelf of the controller whose store this is."""
    return Shelf(store.parent / "models")


def takes_a_model(policy: Policy) -> bool:
    """Whether a policy has a place for a forecaster."""
    return dataclasses.is_dataclass(policy) and any(each.name == "forecaster" for each in dataclasses.fields(policy))


def take_a_model(rules: Rules) -> bool:
    """Whether the policy, or a shadow of it, has a place for a forecaster."""
    return any(map(takes_a_model, (rules.policy, *rules.shadows.values())))


class ActingModel:
    """Gives a policy the model that acts now; without one it has none, and is what it is in a cold start.

    A model that cannot be read is tried again each time, and the last good one goes on until it can. Each problem is
    told once; none of them is an exception. ``guarded`` puts a guard around a forecaster.
    """

    def __init__(self, shelf: Shelf, guarded: Callable[[Forecaster], Forecaster] = lambda model: model) -> None:
        self._shelf = shelf
        self._guarded = guarded
        self._looked: tuple[Rules, tuple[int, int, int] | None] | None = None
        self._given: Rules | None = None
        self._told = ""

    def given(self, rules: Rules) -> Rules:
        """The rules, their policies with the model that acts: the acting one, and the shadows."""
        if not take_a_model(rules):
            return rules
        # The stamp comes first: who promotes between the two is seen in the next cycle.
        seen = rules, self._shelf.stamp()
        if seen == self._looked and self._given is not None:
            return self._given
        try:
            found = self._with_model(rules)
        except Exception as error:  # noqa: BLE001 - no model and no file of one ever ends a cycle
            last_good = self._given if self._looked is not None and self._looked[0] == rules else None
            self._warn(error, "the model before goes on" if last_good else "the policy goes without a model")
            return last_good or dataclasses.replace(rules, model=NO_MODEL)
        self._looked, self._given, self._told = seen, found, ""
        return found

    def _with_model(self, rules: Rules) -> Rules:
        """Raises ``ModelError``, ``ValueError``."""
        number = self._shelf.trail().acting
        if number is None:
            _log.info("no model acts: the policy goes without one")
            return dataclasses.replace(rules, model=NO_MODEL)
        model = self._shelf.read(number)
        fields = fields_of(model)
        given = _with(rules, {**fields, "forecaster": self._guarded(model.forest)}, name_of(model.card))
        _log.info("model %d acts, made %s", number, model.card.made_at.isoformat(timespec="seconds"))
        return given

    def _warn(self, error: Exception, instead: str) -> None:
        expected = isinstance(error, ModelError | ValueError)
        told = f"{instead}: {error if expected else f'reading it failed unexpectedly: {type(error).__name__}: {error}'}"
        if told != self._told:
            _log.warning("%s", told, exc_info=None if expected else error)
            self._told = told


@dataclasses.dataclass(frozen=True, slots=True)
class Acts:
    """Which model is to act, ``None`` = none, with its card, or why it cannot be used."""

    number: int | None
    card: Card | None = None
    problem: str | None = None

    @classmethod
    def now(cls, shelf: Shelf) -> "Acts":
        """As the shelf says."""
        number = None
        try:
            number = shelf.trail().acting
            return cls(number, None if number is None else shelf.read(number).card)
        except ModelError as error:
            return cls(number, problem=str(error))


class PastModels:
    """Gives the policies the model that a stored decision was made with."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._found: dict[str, Mapping[str, object] | ModelError] = {}

    def given(self, rules: Rules, decision: Decision) -> Rules | None:
        """The rules with that model, or without where none acted; ``None`` where the decision does not say.

        Raises ``ModelError`` where the model cannot be had any more.
        """
        name = decision.model
        if name is None:
            return None
        if name == NO_MODEL:
            return dataclasses.replace(rules, model=name)
        found = self._found[name] if name in self._found else self._found.setdefault(name, self._read(name))
        if isinstance(found, ModelError):
            raise found
        return _with(rules, found, name)

    def _read(self, name: str) -> Mapping[str, object] | ModelError:
        number = int(name.split(maxsplit=1)[0])
        try:
            model = self._shelf.read(number)
            fields = fields_of(model)
        except (ModelError, ValueError) as error:
            return ModelError(str(error))
        if name_of(model.card) != name:
            return ModelError(f"{self._shelf.folder}: model {number} is not the one any more that was called {name}")
        return fields


def name_of(card: Card) -> str:
    """A model as decisions name it: its number, and how its sha256 begins."""
    return f"{card.number} {card.sha256[:_SHORT]}"


def _with(rules: Rules, fields: Mapping[str, object], name: str) -> Rules:
    shadows = {name: _filled(policy, fields) for name, policy in rules.shadows.items()}
    return dataclasses.replace(rules, policy=_filled(rules.policy, fields), shadows=shadows, model=name)


def _filled(policy: Policy, fields: Mapping[str, object]) -> Policy:
    return with_fields(policy, fields) if takes_a_model(policy) else policy


def fields_of(model: Model) -> Mapping[str, object]:
    """What a policy gets of a model; raises ``ValueError`` where this machine cannot tell its hours."""
    data = model.card.data
    return {
        "forecaster": model.forest,
        "trained_until": data.end,
        "zone": zone_named(data.zone),
    }


def with_fields(policy: Policy, fields: Mapping[str, object]) -> Policy:
    """The policy with those of the fields that it has a place for."""
    own: Any = policy
    places = {each.name for each in dataclasses.fields(own)}
    given: Policy = dataclasses.replace(own, **{name: value for name, value in fields.items() if name in places})
    return given
