"""The policy with the parameters that alerts have changed: its fields are its configuration, whoever states them."""

import dataclasses
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from autoscaler.contracts import Policy
from autoscaler.core.tuning import tuning_words
from autoscaler.model import Change, Tuning


def tuned_policy(policy: Policy, tunings: Iterable[Tuning]) -> tuple[Policy, tuple[str, ...]]:
    """The policy as the tunings change it, one after the other, and each of them in words.

    One that does not fit, because the configuration has changed since or by what another one changes, is left out, and
    its words say so.
    """
    told = []
    for tuning in tunings:
        if tuning.change is None:
            continue
        words = tuning_words(tuning)
        try:
            policy = _changed(policy, tuning.change)
        except (AttributeError, TypeError, ValueError) as problem:
            words = f"{words}: not done: {problem}"
        told.append(words)
    return policy, tuple(told)


def _changed(policy: Policy, change: Change) -> Policy:
    value = _stepped(getattr(policy, change.parameter), change)
    fields: Any = policy
    changed: Policy = dataclasses.replace(fields, **{change.parameter: value})
    return changed


def _stepped(now: timedelta | float, change: Change) -> timedelta | float:
    number = now.total_seconds() if isinstance(now, timedelta) else now
    number = min(max(number + change.by, change.least), change.most)
    if isinstance(now, timedelta):
        return timedelta(seconds=number)
    # A whole number stays one: it may count workers.
    return int(number) if isinstance(now, int) and float(number).is_integer() else number
