"""What counts for a host after defaults, groups and its own keys, and where each value comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from autoscaler.config.document import Location
from autoscaler.config.layers import counting
from autoscaler.config.load import Loaded
from autoscaler.config.units import parse_mib


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force, as a file could say it; ``origin`` is ``default``, or who says it."""

    key: Location
    value: Any
    origin: str


def settings_of(loaded: Loaded, host: str) -> list[Setting]:
    """Every key of a host, in the order of the schema; raises ``KeyError``."""
    section = {each.name: each for each in loaded.config.hosts}[host]
    layers = loaded.layers[host]

    def origin(key: Location) -> str:
        return next((layer.name for layer in counting(layers, key) if layer.has(key)), "default")

    return [Setting(key, value, origin(key)) for key, value in _leaves(section, ())]


def _leaves(section: BaseModel, above: tuple[str | int, ...]) -> Iterator[tuple[Location, Any]]:
    # A domain's name is a field of a derived section, and comes first where people write.
    for name, field in sorted(type(section).model_fields.items(), key=lambda item: item[0] != "domain"):
        key, value = (*above, name), getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, key)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from _leaves(item, (*key, number))
        else:
            yield key, f"{value} MiB" if value is not None and _is_size(field) else value


def _is_size(field: FieldInfo) -> bool:
    """Whether a field is written as a size, be it that it may also be left out."""
    kinds = [*field.metadata, *(mark for kind in get_args(field.annotation) for mark in get_args(kind)[1:])]
    return any(getattr(kind, "func", None) is parse_mib for kind in kinds)
