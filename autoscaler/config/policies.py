"""From a policy's name and parameters to the policy, through the entry points of group ``vaf_autoscaler.policies``."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from autoscaler.config.document import did_you_mean
from autoscaler.config.units import duration_text, parse_duration
from autoscaler.config.words import in_words
from autoscaler.contracts import Policy

GROUP = "vaf_autoscaler.policies"


class PolicyError(ValueError):
    """A policy cannot be made; ``key`` is the key of the ``policy`` section at fault."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def policy_names() -> list[str]:
    """The policies installed here, ours and the site's, in order."""
    return sorted(entry_points(group=GROUP).names)


def make_policy(name: str, parameters: Mapping[str, Any]) -> Policy:
    """Return the policy called ``name`` with these parameters (durations as ``"5m"``); raises ``PolicyError``."""
    kind, fields = _load(name), parameter_types(name)
    values = {}
    for key, value in parameters.items():
        if key not in fields:
            raise PolicyError(key, f"unknown key; policy {name} has {', '.join(fields) or 'no parameters'}")
        values[key] = _convert(key, value, fields[key])
    needed = [field.name for field in _parameters(kind) if _has_no_default(field)]
    missing = [field for field in needed if field not in values]
    if missing:
        raise PolicyError("name", f"policy {name} needs {', '.join(missing)}")
    try:
        policy: Policy = kind(**values)
    except (TypeError, ValueError) as error:
        raise PolicyError("name", f"policy {name}: {error}") from None
    return policy


def parameter_types(name: str) -> dict[str, Any]:
    """The parameters of the policy called ``name`` with their types; raises ``PolicyError``."""
    kind = _load(name)
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in _parameters(kind)}


def price_names(name: str) -> tuple[str, ...]:
    """The parameters that the policy called ``name`` says are prices; raises ``PolicyError``."""
    return tuple(getattr(_load(name), "prices", ()))


def policy_like(name: str, parameters: Mapping[str, Any]) -> Policy:
    """The policy called ``name`` with those of another's parameters that it has, too; raises ``PolicyError``."""
    own = {field.name for field in _parameters(_load(name))}
    return make_policy(name, {key: value for key, value in parameters.items() if key in own})


def policy_text(name: str, policy: Policy) -> str:
    """A policy with all its parameters, as a configuration would write them."""
    fields = [field.name for field in _parameters(policy)]
    parameters = ", ".join(f"{field}: {_text(getattr(policy, field))}" for field in fields)
    return f"{name} ({parameters})" if parameters else name


def _parameters(policy: Any) -> list[dataclasses.Field[Any]]:
    """The fields that a configuration sets; ``metadata={"parameter": False}`` takes one out."""
    return [field for field in dataclasses.fields(policy) if field.init and field.metadata.get("parameter", True)]


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _text(value: Any) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _load(name: str) -> type[Any]:
    found = entry_points(group=GROUP, name=name)
    if not found:
        names = policy_names()
        meant = did_you_mean(name, names)
        raise PolicyError("name", f"no policy is called {name!r}{meant}; installed are {', '.join(names)}")
    try:
        kind = next(iter(found)).load()
    except Exception as error:
        raise PolicyError("name", f"policy {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise PolicyError("name", f"policy {name!r} is not a dataclass")
    return kind


def _convert(key: str, value: Any, hint: Any) -> Any:
    try:
        return parse_duration(value) if hint is timedelta else TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError as error:
        raise PolicyError(key, in_words(error.errors()[0])) from None
    except ValueError as error:
        raise PolicyError(key, str(error)) from None
