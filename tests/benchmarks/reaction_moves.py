"""Who moves in the benchmark of reaction: the controller, and what an operator would write by hand.

Each is a context manager: what must be there before the session comes is there when it yields, and what it yields makes
the move. The sequences by hand are real calls of `virsh`, one process each, and a poll without any pause. Those called
`raw` are safe: the donor is asked first, the acceptor gets nothing that was not read back as free. They know the sizes
beforehand and do nothing else: no demand is read, no use of memory looked at, no ledger written (after a crash in the
middle nobody knows what was asked for), nothing is given up, and nothing stops when the donor begins to swap.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.hypervisors.kvm import PERIOD_US, SHARES_PER_WEIGHT
from autoscaler.store.records import Record
from autoscaler.store.sql import SqlStore
from tests.benchmarks.reaction_bed import (
    DORMANT_CAP_CORES,
    DORMANT_MIB,
    GUESTS_MIB,
    MOVED,
    RESERVE_MIB,
    RESTING,
    WN_MIB,
    WN_YIELDED_MIB,
    WORKER_MIB,
    WORKERS,
    Bed,
    Share,
)
from tests.testbed.processes import Process, free_port, scratch_folder, wait_until
from tests.testbed.proof_area import ProofArea, Status
from tests.testbed.site import command

START_DEADLINE_S = 180
RECORD_DEADLINE_S = 60
INTERVAL_S = 15
# The newest cycle is so old when the session comes: old enough that the next may come at once, and young enough that
# the one which comes anyway is far away.
QUIET = timedelta(seconds=2), timedelta(seconds=8)

CONFIG = f"""
controller: {{interval: {INTERVAL_S}s, notify_listen: "127.0.0.1:NOTIFY", store: decisions.sqlite}}
source: {{kind: scrape, targets: {{proof: ["http://127.0.0.1:EXPORTER/metrics"]}}}}
policy: {{name: threshold, workers_per_session: {WORKERS}}}
guards: {{}}
host_defaults:
  memory_total: {GUESTS_MIB + RESERVE_MIB} MiB
  memory_reserve: {RESERVE_MIB} MiB
  proof:
    dormant_memory: {DORMANT_MIB} MiB
    dormant_cpu_cap_cores: {DORMANT_CAP_CORES}
    memory_per_worker: {WORKER_MIB} MiB
    workers_max: {WORKERS}
  wn: {{memory_floor: {WN_YIELDED_MIB} MiB, memory_margin: 128 MiB, memory_max: {WN_MIB} MiB}}
hosts:
  - {{name: kvm-host, uri: "LIBVIRT", proof: {{domain: proof}}, wn: {{domain: wn}}}}
"""

# The largest weight both cgroup versions take.
LENT_WEIGHT = 10_000 // SHARES_PER_WEIGHT
PORTION_MIB = 64
MOM_STEP = 0.05
MOM_EVERY_S = 10


class TimeUpError(Exception):
    """A move has taken longer than it may."""


@dataclass
class Move:
    """What makes a move; ``go`` gets the time it may take, ``record`` gives the controller's own record of it."""

    go: Callable[[float], None]
    record: Callable[[], Record | None] = lambda: None


@dataclass(frozen=True)
class Contestant:
    """One way to move, in words; a slow one is measured once, and for no longer than ``limit_s``."""

    what: str
    ready: Callable[[Bed], AbstractContextManager[Move]]
    limit_s: float = 240
    slow: bool = False


@contextmanager
def controller(bed: Bed) -> Iterator[Move]:
    """Yield the move that the controller makes when a user comes."""
    with running_controller(bed, CONFIG) as (area, store):
        yield Move(lambda _limit_s: open_session(area), lambda: record_of_move(store))


@contextmanager
def running_controller(bed: Bed, template: str) -> Iterator[tuple[ProofArea, Path]]:
    """Start the installed commands, and wait until they have seen an empty admin area and a host at rest."""
    with scratch_folder() as scratch, ExitStack() as stack:
        area = stack.enter_context(ProofArea(scratch))
        notify, port = free_port(), free_port()
        config = scratch / "autoscaler.yaml"
        text = template.replace("NOTIFY", str(notify)).replace("EXPORTER", str(port)).replace("LIBVIRT", bed.uri)
        config.write_text(text)
        run = Process([command("autoscaler"), "run", "--config", config], scratch, name="controller")
        stack.enter_context(run)
        store = scratch / "decisions.sqlite"
        # The exporter tells the state as it is as soon as it starts: somebody should listen by then.
        run.wait_until(lambda: newest_record(store), START_DEADLINE_S, "the controller's first cycle")
        words = ["--listen", f"127.0.0.1:{port}", "--notify", f"http://127.0.0.1:{notify}/"]
        exporter = [command("vaf-exporter"), "proof", "--admin-path", scratch, *words]
        stack.enter_context(Process(exporter, scratch, name="exporter"))
        run.wait_until(lambda: is_quiet(newest_record(store)), START_DEADLINE_S, "the controller to be at rest")
        yield area, store


def open_session(area: ProofArea) -> None:
    """Let a user come."""
    area.open_session("alice", status=Status.RUNNING)


def newest_record(store: Path) -> Record | None:
    """Return the controller's newest decision."""
    return next(iter(records(store)[-1:]), None)


def record_of_move(store: Path) -> Record | None:
    """Return the decision that changed something with its outcome, which is there right after the move."""

    def found() -> Record | None:
        return next((record for record in records(store) if record.decision.transfers and record.outcomes), None)

    with suppress(AssertionError):
        return wait_until(found, RECORD_DEADLINE_S, "the record of the move")
    return None


def records(store: Path) -> list[Record]:
    """Return the controller's decisions."""
    with closing(SqlStore(store, read_only=True)) as opened:
        return opened.history(1000, changes_only=False)


def is_quiet(record: Record | None) -> bool:
    """Whether the signals were known and there was nothing to do, and no other cycle is near."""
    if record is None or record.decision.transfers or "unknown" in record.decision.demand.reason:
        return False
    return QUIET[0] < datetime.now(UTC) - record.decision.at < QUIET[1]


class Virsh:
    """Calls of virsh until the time is up."""

    def __init__(self, uri: str, limit_s: float) -> None:
        self._uri = uri
        self._up = time.monotonic() + limit_s

    def memory(self, name: str, memory_mib: int) -> None:
        """Ask for a balloon size."""
        self._call("setmem", name, f"{memory_mib}M", "--live")

    def cpu(self, name: str, share: Share) -> None:
        """Set weight and cap."""
        quota_us = -1 if share.cap_cores is None else round(share.cap_cores * PERIOD_US)
        self._call(
            "schedinfo", name, "--live", f"cpu_shares={share.weight * SHARES_PER_WEIGHT}", f"vcpu_quota={quota_us}"
        )

    def final_cpu(self) -> None:
        """Set what both are to have in the end."""
        for name, share in MOVED.items():
            self.cpu(name, share)

    def lend(self, name: str) -> None:
        """Give a domain nearly all of the CPU."""
        self.cpu(name, Share(0, LENT_WEIGHT, None))

    def actual_mib(self, name: str) -> int:
        """Return the size of a balloon, rounded up."""
        words = self._call("dommemstat", name).split()
        return -(-int(words[words.index("actual") + 1]) // 1024)

    def wait(self, name: str) -> None:
        """Poll until a balloon is where it is to be."""
        while abs(self.actual_mib(name) - MOVED[name].memory_mib) > BALLOON_TOLERANCE_MIB:
            pass

    def pause(self, seconds: float) -> None:
        """Do nothing."""
        if time.monotonic() + seconds > self._up:
            raise TimeUpError
        time.sleep(seconds)

    def _call(self, *words: str) -> str:
        left_s = self._up - time.monotonic()
        if left_s <= 0:
            raise TimeUpError
        done = subprocess.run(["virsh", "-c", self._uri, *words], capture_output=True, text=True, check=True)
        return done.stdout


def weights_last(virsh: Virsh) -> None:
    """Move all memory under the old weights."""
    shrink(virsh)
    grow(virsh)
    virsh.final_cpu()


def weights_between(virsh: Virsh) -> None:
    """Set the weights as soon as the donor needs its own no more."""
    shrink(virsh)
    virsh.final_cpu()
    grow(virsh)


def donor_lent(virsh: Virsh) -> None:
    """As above, and the donor has nearly all of the CPU while it shrinks."""
    virsh.lend("wn")
    weights_between(virsh)


def both_lent(virsh: Virsh) -> None:
    """Give nearly all of the CPU to whoever moves."""
    virsh.lend("wn")
    shrink(virsh)
    virsh.cpu("wn", MOVED["wn"])
    virsh.lend("proof")
    grow(virsh)
    virsh.final_cpu()


def in_portions(virsh: Virsh) -> None:
    """Lend the donor CPU and hand on at each poll what has come free; set the weights when the donor is done."""
    virsh.lend("wn")
    virsh.memory("wn", MOVED["wn"].memory_mib)
    asked, goal = RESTING["proof"].memory_mib, MOVED["proof"].memory_mib
    while asked < goal:
        wn = virsh.actual_mib("wn")
        done = wn <= MOVED["wn"].memory_mib + BALLOON_TOLERANCE_MIB
        free = goal if done else GUESTS_MIB - wn
        if free - asked >= min(PORTION_MIB, goal - asked):
            asked = min(free, goal)
            virsh.memory("proof", asked)
    virsh.final_cpu()
    virsh.wait("proof")


def weights_first(virsh: Virsh) -> None:
    """Set the weights, and then move the memory."""
    virsh.final_cpu()
    shrink(virsh)
    grow(virsh)


def mom_rule(virsh: Virsh) -> None:
    """Change each balloon by at most 5 % of its size every 10 s, the first at once, and read nothing back."""
    sizes = {name: share.memory_mib for name, share in RESTING.items()}
    while True:
        wn, proof = (MOVED[name].memory_mib for name in ("wn", "proof"))
        sizes["wn"] = max(wn, round(sizes["wn"] * (1 - MOM_STEP)))
        sizes["proof"] = min(proof, round(sizes["proof"] * (1 + MOM_STEP)))
        for name, size in sizes.items():
            virsh.memory(name, size)
        if sizes == {"wn": wn, "proof": proof}:
            break
        virsh.pause(MOM_EVERY_S)
    virsh.final_cpu()


def shrink(virsh: Virsh) -> None:
    """Let the Worker Node give its memory."""
    virsh.memory("wn", MOVED["wn"].memory_mib)
    virsh.wait("wn")


def grow(virsh: Virsh) -> None:
    """Let PROOF take it."""
    virsh.memory("proof", MOVED["proof"].memory_mib)
    virsh.wait("proof")


@contextmanager
def by_hand(sequence: Callable[[Virsh], None], bed: Bed) -> Iterator[Move]:
    """Yield the move by a sequence of calls."""

    def go(limit_s: float) -> None:
        try:
            sequence(Virsh(bed.uri, limit_s))
        except TimeUpError:
            return

    yield Move(go)


def raw(sequence: Callable[[Virsh], None], what: str) -> Contestant:
    """One of the safe sequences by hand."""
    return Contestant(what, partial(by_hand, sequence))


OURS = "ours"
CONTESTANTS = {
    OURS: Contestant("autoscaler run with vaf-exporter proof --notify", controller),
    "raw_weights_last": raw(weights_last, "donor, acceptor, weights"),
    "raw_weights_between": raw(weights_between, "donor, weights, acceptor"),
    "raw_donor_lent": raw(donor_lent, "donor lent CPU, donor, weights, acceptor"),
    "raw_both_lent": raw(both_lent, "donor lent CPU, donor, acceptor lent CPU, acceptor, weights"),
    "raw_in_portions": raw(in_portions, "donor lent CPU, acceptor given what is free at each poll, weights"),
    "weights_first": Contestant("weights, donor, acceptor", partial(by_hand, weights_first), limit_s=300, slow=True),
    "mom": Contestant(
        "each balloon 5 % of its size every 10 s, as MoM's rules; weights", partial(by_hand, mom_rule), 600, slow=True
    ),
}
