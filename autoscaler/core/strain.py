"""Whether a guest has begun to thrash, from two of its own reports."""

from autoscaler.model import Pressure

# Placeholders until measured.
SWAP_IN_MIB_PER_S = 1.0
MAJOR_FAULTS_PER_S = 100.0


def strain(earlier: Pressure, later: Pressure) -> str | None:
    """Say in words what shows that a guest thrashes, ``None`` while nothing does.

    Memory that is written to the swap once is cold and does not count; memory that is read back was needed. Counters
    that went backwards are those of another boot, and say nothing.
    """
    seconds = later.told_at_s - earlier.told_at_s
    if seconds <= 0:
        return None
    swap_in = (later.swap_in_mib - earlier.swap_in_mib) / seconds
    if swap_in >= SWAP_IN_MIB_PER_S:
        return f"it reads {swap_in:.1f} MiB/s back from its swap"
    faults = (later.major_faults - earlier.major_faults) / seconds
    if faults >= MAJOR_FAULTS_PER_S:
        return f"it has {faults:.0f} major page faults each second"
    return None
