"""How reasons tell a time, so that all of them tell it alike."""

from datetime import datetime


def clock(at: datetime) -> str:
    """A time to the second, with its zone."""
    return f"{at:%Y-%m-%d %H:%M:%S %Z}"
