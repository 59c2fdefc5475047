"""oVirt MoM's balloon.rules, for the PROOF domains of a site."""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from tests.benchmarks.peers.site import UNKNOWN, Site


@dataclass(slots=True)
class Mom:
    """A guest is to have what it uses and 20 % of its size free; it moves by 5 % of its size in each pass of 10 s.

    From oVirt/mom 3de1c8e, doc/balloon.rules and doc/mom-balloon.conf: ``min_guest_free_percent`` 0.20,
    ``max_balloon_change_percent`` 0.05 (more when a guest has less than its free memory),
    ``min_balloon_change_percent`` 0.0025, ``policy-engine-interval`` 10 s, use averaged over 10 samples of 5 s.

    As a policy for PROOF: each host's PROOF domain is a guest of its own, sessions spread evenly over them, and a
    domain uses its dormant size and the memory of the workers that sessions want, as far as it has it. The
    Worker Nodes take whatever is free, so the host is always under pressure: a guest grows when its free memory is
    missing, else it shrinks. Left out is the scaling of the 20 % by the host's free memory: where guests share out
    the whole host it is always critical, and MoM would push all of them into swap.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    site: Site
    min_guest_free: float = 0.20
    max_balloon_change: float = 0.05
    min_balloon_change: float = 0.0025
    pass_s: float = 10
    passes_averaged: int = 5
    _dormant_mib: NDArray[np.float64] = field(init=False, repr=False)
    _worker_mib: NDArray[np.float64] = field(init=False, repr=False)
    _workers_max: NDArray[np.float64] = field(init=False, repr=False)
    _size_mib: NDArray[np.float64] = field(init=False, repr=False)
    _need_mib: NDArray[np.float64] = field(init=False, repr=False)
    _used_mib: deque[NDArray[np.float64]] = field(init=False, repr=False)
    _still: int = field(default=0, init=False, repr=False)
    _at: datetime | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._dormant_mib = np.array([float(proof.dormant.memory_mib) for proof in self.site.proofs])
        self._worker_mib = np.array([float(proof.memory_per_worker_mib) for proof in self.site.proofs])
        self._workers_max = np.array([float(proof.workers_max) for proof in self.site.proofs])
        self._size_mib = self._need_mib = self._dormant_mib
        self._used_mib = deque(maxlen=self.passes_averaged)

    def decide(self, window: Window) -> Demand:
        """Let as many passes go by as their interval fits in since the last cycle; want the workers that then fit."""
        elapsed_s = (window.now - self._at).total_seconds() if self._at else self.pass_s
        self._at = window.now
        wanted = self.site.wanted(window)
        if wanted is None:
            return Demand(None, UNKNOWN)
        self._spread(math.ceil(wanted))
        for _ in range(max(1, round(elapsed_s / self.pass_s))):
            if self._still == self.passes_averaged:
                break  # neither sizes nor averages have moved, nor will they
            self._pass()
        workers = int(np.floor((self._size_mib - self._dormant_mib) / self._worker_mib).sum())
        return Demand(workers, f"{wanted:g} workers wanted, {self._size_mib.sum():.0f} MiB in all guests")

    def _spread(self, workers: int) -> None:
        base, more = divmod(workers, len(self._size_mib))
        share = np.minimum(base + (np.arange(len(self._size_mib)) < more), self._workers_max)
        need = self._dormant_mib + share * self._worker_mib
        if not np.array_equal(need, self._need_mib):
            self._still = 0
        self._need_mib = need

    def _pass(self) -> None:
        """One pass of the rules over all guests."""
        size = self._size_mib
        self._used_mib.append(np.minimum(self._need_mib, size))
        least = sum(self._used_mib) / len(self._used_mib) + self.min_guest_free * size
        change = np.where(least > size, 1 + self.max_balloon_change, 1 - self.max_balloon_change)
        goal = np.maximum(size * change, least)
        goal = np.clip(goal, self._dormant_mib, self._dormant_mib + self._workers_max * self._worker_mib)
        moves = np.abs(goal - size) > self.min_balloon_change * size
        self._size_mib = np.where(moves, goal, size)
        self._still = 0 if moves.any() else self._still + 1
