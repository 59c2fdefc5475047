"""Time zones as a card names them: people keep to the local hour, whatever the season."""

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from tzlocal import get_localzone


def site_zone() -> tzinfo:
    """The zone of this machine, with its changes between winter and summer time."""
    return get_localzone()


def zone_text(zone: tzinfo) -> str:
    """A zone by name, such as Europe/Rome, UTC or UTC+01:00."""
    return str(zone)


def zone_named(text: str) -> tzinfo:
    """The zone that ``zone_text`` named; raises ``ValueError``."""
    if text == zone_text(here := site_zone()):
        # Where /etc/localtime is a copy, the zone has no name that another machine would know.
        return here
    if text.startswith(("UTC+", "UTC-")):
        return _offset(text)
    try:
        return ZoneInfo(text)
    except (OSError, KeyError, ValueError):
        raise ValueError(f"the time zone {text!r} is not known here") from None


def _offset(text: str) -> tzinfo:
    zone = datetime.strptime(text.removeprefix("UTC"), "%z").tzinfo
    if zone is None:
        raise ValueError(f"{text!r} is no time zone")
    return zone
