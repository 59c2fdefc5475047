"""Whether a guest that is squeezed has begun to thrash, from its own reports.

Measured on guests with a swap disk, with cold and with hot memory, on fast and slow disks: swap-in alone is harmless
(pages that were evicted by mistake are read back once), so is having nothing usable left (cold pages leave, once).
Together, and twice, they mean that memory in use is missing. They are true of a donor on its way down only: after
memory was given back, a guest reads its pages for a while.
"""

from collections.abc import Sequence
from itertools import pairwise

from autoscaler.model import Pressure

SWAP_IN_MIB_PER_S = 1.0
MAJOR_FAULTS_PER_S = 30.0
USABLE_RATIO = 0.05

# A sign counts when it stands in so many of the newest pauses between two reports.
SIGNS, PAUSES = 2, 3

# Below this a guest has come to rest after a step; above, its swap still works on the last one.
QUIET_MIB_PER_S = 1.0


def thrashing(reports: Sequence[Pressure]) -> str | None:
    """Say in words what shows that a guest thrashes, ``None`` while nothing does; the newest report is the last."""
    signs = [_sign(earlier, later) for earlier, later in pairwise(reports[-PAUSES - 1 :])]
    told = [sign for sign in signs if sign is not None]
    return told[-1] if len(told) >= SIGNS else None


def quiet(reports: Sequence[Pressure]) -> bool:
    """Whether the guest's swap was at rest in the last two pauses between its reports."""
    newest = list(pairwise(reports[-3:]))
    rates = [rate for earlier, later in newest for rate in _swap_rates(earlier, later)]
    return len(newest) == SIGNS and max(rates) < QUIET_MIB_PER_S


def _sign(earlier: Pressure, later: Pressure) -> str | None:
    """Counters that went backwards are those of another boot, and say nothing."""
    if later.usable_mib >= USABLE_RATIO * later.total_mib:
        return None
    swap_in, _ = _swap_rates(earlier, later)
    faults = (later.major_faults - earlier.major_faults) / (later.told_at_s - earlier.told_at_s)
    if swap_in >= SWAP_IN_MIB_PER_S:
        return f"it reads {swap_in:.1f} MiB/s back from its swap and has {later.usable_mib} MiB left"
    if faults >= MAJOR_FAULTS_PER_S:
        return f"it has {faults:.0f} major page faults each second and {later.usable_mib} MiB left"
    return None


def _swap_rates(earlier: Pressure, later: Pressure) -> tuple[float, float]:
    seconds = later.told_at_s - earlier.told_at_s
    return (later.swap_in_mib - earlier.swap_in_mib) / seconds, (later.swap_out_mib - earlier.swap_out_mib) / seconds
