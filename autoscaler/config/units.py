"""Sizes, rates and durations as people write them; a bare number is refused, because its unit would be a guess."""

import re
from datetime import timedelta
from typing import Annotated, Any

import durationpy
from pydantic import BeforeValidator, ByteSize, TypeAdapter

_MIB = 1024 * 1024
# pydantic stops reading where it understands no more: "0,5 GiB" would be 0.
_SIZE = re.compile(r"[0-9]+(\.[0-9]+)?\s*[A-Za-z]+")
# No host has so much memory, and nothing here waits so long: more is a slip of the pen.
_MOST_MIB = 1024**3
_LONGEST = timedelta(days=366)
_byte_size: TypeAdapter[ByteSize] = TypeAdapter(ByteSize)


def parse_mib(value: Any) -> int:
    """``"573 MiB"``, ``"2 GiB"`` to whole MiB; raises ``ValueError``."""
    if not isinstance(value, str) or value.strip().replace(".", "").isdigit():
        raise ValueError(f"{value!r} has no unit: write a size such as '573 MiB' or '2 GiB'")
    try:
        size = int(_byte_size.validate_python(value)) if _SIZE.fullmatch(value.strip()) else None
    except ValueError:
        size = None
    if size is None:
        raise ValueError(f"{value!r} is not a size: write a size such as '573 MiB' or '2 GiB'")
    if size % _MIB:
        raise ValueError(f"{value!r} is not a whole number of MiB")
    if size // _MIB > _MOST_MIB:
        raise ValueError(f"{value!r} is more than 1 PiB")
    return size // _MIB


def parse_bytes_per_s(value: Any) -> int:
    """``"10 MB/s"``, ``"1.5 GB/s"``, ``"100 MiB/s"`` to bytes per second; raises ``ValueError``."""
    size, _, second = value.partition("/") if isinstance(value, str) else ("", "", "")
    try:
        rate = int(_byte_size.validate_python(size)) if second == "s" and _SIZE.fullmatch(size.strip()) else None
    except ValueError:
        rate = None
    if rate is None:
        raise ValueError(f"{value!r} is not a rate: write one such as '10 MB/s' or '1.5 GB/s'")
    if rate // _MIB > _MOST_MIB:
        raise ValueError(f"{value!r} is more than 1 PiB/s")
    return rate


def parse_duration(value: Any) -> timedelta:
    """``"30s"``, ``"5m"``, ``"1h30m"``, ``"7d"`` to a time span; raises ``ValueError``."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit: write a duration such as '30s', '5m', '1h30m' or '7d'")
    try:
        span: timedelta = durationpy.from_str(value)
    except (durationpy.DurationError, OverflowError):
        raise ValueError(f"{value!r} is not a duration: write one such as '30s', '5m', '1h30m' or '7d'") from None
    if span < timedelta(0):
        raise ValueError(f"{value!r} is negative")
    if span > _LONGEST:
        raise ValueError(f"{value!r} is longer than 366 days")
    return span


def duration_text(span: timedelta) -> str:
    """A time span as a configuration writes it: ``"5m"``, ``"1h30m"``, ``"7d"``, ``"2d4h"``."""
    if span < timedelta(0):
        return f"-{duration_text(-span)}"
    days = f"{span.days}d" if span.days else ""
    rest = timedelta(seconds=span.seconds, microseconds=span.microseconds)
    return days + str(durationpy.to_str(rest)) if rest else days or "0s"


def seconds_text(seconds: float) -> str:
    """A measured time in whole seconds, as a configuration writes it."""
    return duration_text(timedelta(seconds=round(seconds)))


Mebibytes = Annotated[int, BeforeValidator(parse_mib)]
BytesPerSecond = Annotated[int, BeforeValidator(parse_bytes_per_s)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
