"""The section ``tuning``: what alerts change."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from autoscaler.config.section import Name, PositiveDuration, Section
from autoscaler.config.units import parse_duration
from autoscaler.core.tuning import TuningRule
from autoscaler.model import Change, Direction, TuningKind

# Whom a freeze may name instead of a host or a group.
ALL_HOSTS = "all"
# Each is one action, with the keys that go with it.
ACTIONS = {
    "boost_workers": (),
    "cap_workers": (),
    "freeze": ("hosts",),
    "step": ("by", "within"),
    "price": ("to",),
}


def number_of(value: float | str) -> float:
    """A parameter's value as the core has it, a span of time in seconds; raises ``ValueError``."""
    if isinstance(value, str):
        sign = -1 if value.startswith("-") else 1
        return sign * parse_duration(value.removeprefix("-")).total_seconds()
    return value


def _value(value: Any) -> float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is neither a number nor a span of time such as '5m'")
    if not math.isfinite(number_of(value)):
        raise ValueError(f"{value!r} is not a finite number")
    return value


# As the file has it: the policy says whether its parameter is a number or a span of time.
Value = Annotated[Any, AfterValidator(_value)]


class ActionSection(Section):
    """What a tuning does: one of these."""

    boost_workers: Annotated[int, Field(ge=1, strict=True)] | None = None
    cap_workers: Annotated[int, Field(ge=0, strict=True)] | None = None
    freeze: Literal["grow", "shrink"] | None = None
    hosts: Name | None = None
    step: Name | None = None
    by: Value | None = None
    within: Annotated[list[Value], Field(min_length=2, max_length=2)] | None = None
    price: Name | None = None
    to: Value | None = None

    @property
    def parameter(self) -> str | None:
        """The parameter of the policy that it changes, ``None`` where it changes none."""
        return self.step or self.price

    @property
    def bounds(self) -> list[float | str]:
        """The least and the most that the parameter becomes."""
        return self.within if self.within is not None else [] if self.to is None else [self.to, self.to]

    def change(self) -> Change | None:
        """The action as the core knows it, ``None`` where it changes no parameter."""
        if self.parameter is None:
            return None
        least, most = map(number_of, self.bounds)
        if self.by is None:
            return Change(self.parameter, 0, least, most, f"{self.parameter} {self.to}")
        by = number_of(self.by)
        words = f"{self.parameter} {'' if by < 0 else '+'}{self.by} within {self.bounds[0]} to {self.bounds[1]}"
        return Change(self.parameter, by, least, most, words)

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            *names, last = ACTIONS
            raise ValueError(f"give one of {', '.join(names)} and {last}")
        (action,) = given
        for other, keys in ACTIONS.items():
            if any((getattr(self, key) is None) == (other == action) for key in keys):
                raise ValueError(_WANTS[other])
        if self.by is not None and not number_of(self.by):
            raise ValueError("by is 0, which changes nothing")
        bounds = [number_of(value) for value in self.bounds]
        if bounds and bounds[0] > bounds[1]:
            raise ValueError("within has its larger value first")
        return self


_WANTS = {
    "freeze": "freeze wants hosts: a host, a group, or all; nothing else does",
    "step": "step wants by and within, such as by: 2, within: [1, 8]; nothing else does",
    "price": "price wants to; nothing else does",
}


class TuningSection(Section):
    """What an alert with these labels changes, for how long at most."""

    model_config = ConfigDict(populate_by_name=True)

    match: Annotated[dict[Name, str], Field(min_length=1)]
    action: ActionSection
    span: Annotated[PositiveDuration, Field(alias="for")]

    def rule(self, hosts: tuple[str, ...]) -> TuningRule:
        """The section as the core knows it, for these hosts."""
        action = self.action
        if action.boost_workers is not None:
            return TuningRule(self.match, TuningKind.BOOST, self.span, action.boost_workers)
        if action.cap_workers is not None:
            return TuningRule(self.match, TuningKind.CAP, self.span, action.cap_workers)
        if action.parameter is not None:
            kind = TuningKind.STEP if action.step else TuningKind.PRICE
            return TuningRule(self.match, kind, self.span, change=action.change())
        where = "all hosts" if action.hosts == ALL_HOSTS else action.hosts or ""
        direction = Direction(str(action.freeze))
        return TuningRule(self.match, TuningKind.FREEZE, self.span, None, direction, hosts, where)
