"""Stored decisions as the API shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import to_builtins

from autoscaler.core.tuning import tuning_values
from autoscaler.model import Decision, Tuning
from autoscaler.store.records import Record


def state_values(record: Record, tunings: Sequence[Tuning], now: datetime) -> dict[str, Any]:
    """How the facility stands by the newest decision, and what alerts change now."""
    age_s = (now - record.decision.at).total_seconds()
    shown = [tuning_values(each) for each in tunings]
    return {**_head(record.number, record.decision), "age_s": age_s, "hosts": record.host_values(), "tunings": shown}


def decision_values(record: Record) -> dict[str, Any]:
    """One decision in short: what was wanted, and what changes."""
    moves = [
        {"host": each.host, "from": each.workers_from, "to": each.workers_to} for each in record.decision.transfers
    ]
    return {**_head(record.number, record.decision), "changes": moves}


def _head(number: int, decision: Decision) -> dict[str, Any]:
    return {
        "number": number,
        "at": decision.at.isoformat(),
        "policy": decision.policy,
        "demand": decision.demand.workers,
        "reason": decision.demand.reason,
        "placed": to_builtins(decision.placed),
        "error": decision.error,
    }
