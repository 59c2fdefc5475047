"""What alerts may make of the policy, checked before any alert comes: at each bound of a rule it must be a policy."""

from datetime import timedelta
from typing import Any

from autoscaler.config.policies import PolicyError, make_policy, parameter_types, price_names
from autoscaler.config.schema import PolicySection
from autoscaler.config.tuning_section import ActionSection, number_of
from autoscaler.config.units import duration_text
from autoscaler.contracts import Policy

_STEPPED = (int, float, timedelta)


def policies_at_bounds(section: PolicySection, policy: Policy, action: ActionSection) -> list[Policy]:
    """The policy with the least and with the most that an action makes of its parameter, none where it changes none.

    Raises ``PolicyError``, with a key of the action.
    """
    name = action.parameter
    if name is None:
        return []
    kind = _kind(section.name, name, action)
    try:
        found = [make_policy(section.name, {**section.parameters, name: value}) for value in action.bounds]
    except PolicyError as error:
        raise PolicyError("to" if action.price else "within", str(error)) from None
    if action.by is not None:
        _check_kind("by", action.by, kind)
        _check_inside(name, getattr(policy, name), action)
    return found


def _kind(policy: str, name: str, action: ActionSection) -> Any:
    """The type of the parameter."""
    types = parameter_types(policy)
    stepped = price_names(policy) if action.price else [each for each, kind in types.items() if kind in _STEPPED]
    if name not in stepped:
        what = "that is a price" if action.price else "that is a number or a span of time"
        has = f"it has {', '.join(stepped)}" if stepped else "it has none"
        raise PolicyError("price" if action.price else "step", f"policy {policy} has no {name} {what}; {has}")
    return types[name]


def _check_kind(key: str, value: Any, kind: Any) -> None:
    if kind is timedelta and not isinstance(value, str):
        raise PolicyError(key, f"{value!r} has no unit: write a duration such as '5m' or '-5m'")
    if kind is not timedelta and (isinstance(value, str) or (kind is int and not isinstance(value, int))):
        raise PolicyError(key, f"{value!r} is not a {'whole ' if kind is int else ''}number")


def _check_inside(name: str, now: timedelta | float, action: ActionSection) -> None:
    number = now.total_seconds() if isinstance(now, timedelta) else now
    least, most = map(number_of, action.bounds)
    if not least <= number <= most:
        words = duration_text(now) if isinstance(now, timedelta) else f"{now:g}"
        raise PolicyError(
            "within", f"policy.{name} is {words}, and not within {action.bounds[0]} to {action.bounds[1]}"
        )
