"""A facility of two hosts, and what is decided for it, as the tests of decisions read it."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from autoscaler.core.rules import Rules
from autoscaler.model import Decision, Demand, Facility, GuardLimits, HostObservation, Window
from autoscaler.testing import a_host, observed
from policies.threshold import Threshold

FACILITY = Facility((a_host("host-1"), a_host("host-2")))
THRESHOLD = Rules(Threshold(workers_per_session=2, idle=timedelta(minutes=5)), GuardLimits())


@dataclass(frozen=True)
class Scripted:
    """A policy that answers, or raises, what it was given."""

    answer: Any
    signals: tuple[str, ...] = ()
    history: timedelta = field(default=timedelta(0))

    def decide(self, _window: Window) -> Demand:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def at(*workers: int) -> tuple[HostObservation, ...]:
    """The hosts of the facility with so many workers each."""
    return tuple(observed(host, workers=number) for host, number in zip(FACILITY.hosts, workers, strict=True))


def granted(decision: Decision) -> dict[str, int | None]:
    return {host.host: host.granted for host in decision.hosts}


def transfers(decision: Decision) -> dict[str, tuple[int, int]]:
    return {transfer.host: (transfer.workers_from, transfer.workers_to) for transfer in decision.transfers}
