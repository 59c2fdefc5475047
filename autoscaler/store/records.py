"""Decisions and outcomes to JSON and back; a stored decision can be decided again."""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from numbers import Integral, Real
from typing import Any

from msgspec.json import Decoder, Encoder

from autoscaler.model import (
    NO_MODEL,
    Decision,
    HostDecision,
    HostObservation,
    Outcome,
    Override,
    Pause,
    Quarantine,
    Tuning,
)


def _number(value: object) -> int | float:
    """A number of another library: policies may reckon with NumPy."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    # What msgspec's hooks raise for a type that they do not know.
    raise NotImplementedError(f"{type(value).__name__} has no JSON")


_encoder = Encoder(enc_hook=_number)

# Not strict, so that 5.0 is a whole number, too.
_decision = Decoder(Decision, strict=False)
_outcome = Decoder(Outcome, strict=False)
_quarantine = Decoder(Quarantine, strict=False)
_pause = Decoder(Pause, strict=False)
_override = Decoder(Override, strict=False)
_tuning = Decoder(Tuning, strict=False)


@dataclass(frozen=True, slots=True)
class Record:
    """One cycle as stored: its number, its decision, and the outcomes known so far."""

    number: int
    decision: Decision
    outcomes: tuple[Outcome, ...] = ()

    def host(self, name: str) -> HostDecision | None:
        """What was decided for a host, ``None`` when the cycle did not know it."""
        return next((host for host in self.decision.hosts if host.host == name), None)

    def outcome(self, host: str) -> Outcome | None:
        """What became of a host's transfer, ``None`` while it runs or when there was none."""
        return next((outcome for outcome in self.outcomes if outcome.host == host), None)

    def hosts_after(self) -> tuple[HostObservation, ...]:
        """The hosts as last read: after the cycle's transfer where one has ended, before the cycle elsewhere."""
        seen = self.decision.situation.hosts
        return tuple(
            host
            if (outcome := self.outcome(host.host)) is None or not outcome.observed
            else replace(host, domains=outcome.observed)
            for host in seen
        )

    def change(self, host: str) -> str:
        """What became of a host's transfer, in words."""
        decided = self.host(host)
        if decided is None or decided.transfer is None:
            return "no change"
        outcome = self.outcome(host)
        return "under way, or the controller died" if outcome is None else f"{outcome.result}: {outcome.reason}"

    def host_values(self) -> list[dict[str, Any]]:
        """Each host as JSON values: what was decided, what became of it, and its domains as last read."""
        return [
            {
                "host": seen.host,
                "state": seen.state,
                "problem": seen.problem,
                "workers": decided.current,
                "wanted": decided.wanted,
                "granted": decided.granted,
                "reason": decided.reason,
                "change": self.change(seen.host),
                "domains": {domain.name: domain.state for domain in seen.domains},
                "memory_mib": {domain.name: domain.allocation.memory_mib for domain in seen.domains},
            }
            for seen, decided in zip(self.hosts_after(), self.decision.hosts, strict=True)
        ]

    def json_values(self) -> dict[str, Any]:
        """The record as JSON values: the decision's fields, ``number`` and ``outcomes``."""
        outcomes = [json.loads(outcome_to_json(outcome)) for outcome in self.outcomes]
        return {"number": self.number, **json.loads(decision_to_json(self.decision)), "outcomes": outcomes}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored decision that cannot be read: it is damaged, or another version of this program wrote it."""

    number: int
    at: datetime
    problem: str


# Older versions told policies as Python does, and their model, ``None`` for none, among their parameters.
_MODEL_ONCE = re.compile(r"(, )?\bmodel=(?:None|'([^']*)')(?(1)|(?:, )?)")


def _brought_up(decision: Decision) -> Decision:
    """A decision of an older version, as this one would have written it."""
    told = (decision.policy, *(each.policy for each in decision.opinions))
    found = next((match for text in told if (match := _MODEL_ONCE.search(text)) is not None), None)
    if decision.model is not None or found is None:
        return decision
    return replace(
        decision,
        policy=_MODEL_ONCE.sub("", decision.policy),
        opinions=tuple(replace(each, policy=_MODEL_ONCE.sub("", each.policy)) for each in decision.opinions),
        model=found[2] or NO_MODEL,
    )


def decision_to_json(decision: Decision) -> str:
    """One decision as a JSON object."""
    return _encoder.encode(decision).decode()


def decision_from_json(text: str) -> Decision:
    """The decision of a JSON object; raises ``ValueError``."""
    return _brought_up(_decision.decode(text))


def outcome_to_json(outcome: Outcome) -> str:
    """One outcome as a JSON object."""
    return _encoder.encode(outcome).decode()


def outcome_from_json(text: str) -> Outcome:
    """The outcome of a JSON object; raises ``ValueError``."""
    return _outcome.decode(text)


def quarantine_to_json(quarantine: Quarantine) -> str:
    """One quarantine as a JSON object."""
    return _encoder.encode(quarantine).decode()


def quarantine_from_json(text: str) -> Quarantine:
    """The quarantine of a JSON object; raises ``ValueError``."""
    return _quarantine.decode(text)


def pause_to_json(pause: Pause) -> str:
    """One pause as a JSON object."""
    return _encoder.encode(pause).decode()


def pause_from_json(text: str) -> Pause:
    """The pause of a JSON object; raises ``ValueError``."""
    return _pause.decode(text)


def override_to_json(override: Override) -> str:
    """One override as a JSON object."""
    return _encoder.encode(override).decode()


def override_from_json(text: str) -> Override:
    """The override of a JSON object; raises ``ValueError``."""
    return _override.decode(text)


def tuning_to_json(tuning: Tuning) -> str:
    """One tuning as a JSON object."""
    return _encoder.encode(tuning).decode()


def tuning_from_json(text: str) -> Tuning:
    """The tuning of a JSON object; raises ``ValueError``."""
    return _tuning.decode(text)
