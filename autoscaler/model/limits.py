"""The numbers that guards work with."""

from datetime import timedelta

from autoscaler.value import Value


class GuardLimits(Value, frozen=True):
    """The numbers the guards work with.

    A signal older than ``fresh_for`` counts as unknown; a wish to change less than ``dead_band_workers`` is left out,
    except to and from dormant; a host grows (shrinks) only ``grow_cooldown`` (``shrink_cooldown``) after its last
    change, and grows only ``strain_cooldown`` after a donor began to swap. Signals that were unknown for
    ``unknown_to_safe`` without a break lead to the safe split, with ``None`` they never do.
    """

    fresh_for: timedelta = timedelta(seconds=90)
    dead_band_workers: int = 1
    grow_cooldown: timedelta = timedelta(0)
    shrink_cooldown: timedelta = timedelta(minutes=5)
    strain_cooldown: timedelta = timedelta(minutes=5)
    unknown_to_safe: timedelta | None = timedelta(hours=2)
