"""The section ``tuning``: what alerts change."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from autoscaler.config.section import Name, PositiveDuration, Section
from autoscaler.core.tuning import TuningRule
from autoscaler.model import Direction, TuningKind

# Whom a freeze may name instead of a host or a group.
ALL_HOSTS = "all"


class ActionSection(Section):
    """What a tuning does: one of these."""

    boost_workers: Annotated[int, Field(ge=1, strict=True)] | None = None
    cap_workers: Annotated[int, Field(ge=0, strict=True)] | None = None
    freeze: Literal["grow", "shrink"] | None = None
    hosts: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(each is not None for each in (self.boost_workers, self.cap_workers, self.freeze)) != 1:
            raise ValueError("give one of boost_workers, cap_workers and freeze")
        if (self.hosts is None) != (self.freeze is None):
            raise ValueError("freeze wants hosts: a host, a group, or all; nothing else does")
        return self


class TuningSection(Section):
    """What an alert with these labels changes, for how long at most."""

    model_config = ConfigDict(populate_by_name=True)

    match: Annotated[dict[Name, str], Field(min_length=1)]
    action: ActionSection
    span: Annotated[PositiveDuration, Field(alias="for")]

    def rule(self, hosts: tuple[str, ...]) -> TuningRule:
        """The section as the core knows it, for these hosts."""
        action = self.action
        where = "all hosts" if action.hosts == ALL_HOSTS else action.hosts or ""
        if action.boost_workers is not None:
            return TuningRule(self.match, TuningKind.BOOST, self.span, action.boost_workers)
        if action.cap_workers is not None:
            return TuningRule(self.match, TuningKind.CAP, self.span, action.cap_workers)
        direction = Direction(str(action.freeze))
        return TuningRule(self.match, TuningKind.FREEZE, self.span, None, direction, hosts, where)
