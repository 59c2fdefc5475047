"""The speeds of the facility model, each with its source. A scenario may state its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Physics:
    """How fast memory and CPU move, and what a squeezed guest does.

    Memory speeds are MiB per second. ``cold_ratio`` is the share of a guest's used memory that it does not miss;
    ``swapping_speed`` is how fast its jobs run while memory is cut out of what they use, 1 is full speed, and
    ``thrash_slowdown`` by how much they are slower when all of their memory is gone.
    """

    # virtio balloon with 4 KiB pages: inflate over touched memory 0.86 GiB/s (HyperAlloc, EuroSys'25, artefact).
    balloon_free_mib_per_s: float = 880.0
    # Deflate 2.11 GiB/s (same source); the first touch of it comes with the work.
    balloon_give_mib_per_s: float = 2160.0
    # Into swap on a disk of 150 MB/s, measured with QEMU guests: 96 MiB/s. Torino's move by hand: 55 MiB/s.
    balloon_swap_mib_per_s: float = 96.0
    # A change of weights or caps is effective after 21 ms in the median, 28 ms at most (measured, cgroup v1).
    cpu_change_s: float = 0.05
    # VSwapper (ASPLOS'14) has 2 to 10 times for guests under uncooperative swapping: the lower end while it moves,
    # the upper one where nothing is left.
    swapping_speed: float = 0.5
    thrash_slowdown: float = 10.0
    cold_ratio: float = 0.2
    # Reading back between the steps of a transfer (the engine's own poll), each once.
    step_s: float = 0.3


PHYSICS = Physics()
