"""A dry run: the same reading and deciding as the loop, over connections that cannot write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autoscaler.contracts import Source
from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.situation import make_situation
from autoscaler.hypervisors import connect
from autoscaler.hypervisors.recorder import Recorder
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import Decision, Facility, Host, HostTimers, Orders, Transfer, Tuning
from autoscaler.service.hosts import Hosts


@dataclass(frozen=True, slots=True)
class Preview:
    """What a cycle would decide now, and per host the calls it would make, in order."""

    decision: Decision
    calls: Mapping[str, tuple[str, ...]]


def preview(
    facility: Facility,
    rules: Rules,
    source: Source,
    *,
    asked: Mapping[tuple[str, str], int],
    timers: Sequence[HostTimers],
    orders: Orders,
    tunings: tuple[Tuning, ...],
    before: Decision | None,
    now: datetime,
    host_timeout: timedelta,
) -> Preview:
    """Read and decide once; changes nothing.

    ``asked``, ``timers``, ``orders``, ``tunings`` and ``before``, its newest decision, are those of the running
    controller.
    """
    recorders = {host.name: Recorder(connect(host, read_only=True)) for host in facility.hosts}

    def recorder(host: Host) -> Recorder:
        return recorders[host.name]

    hosts = Hosts(facility, recorder, host_timeout)
    situation = make_situation(
        source.read(now),
        hosts.observe(lambda: asked),
        timers,
        orders=orders,
        tunings=tunings,
        before=before,
        facility=facility,
        rules=rules,
    )
    decision = decide(situation, facility, rules)
    calls = {
        transfer.host: _rehearse(transfer, recorders[transfer.host], asked, now) for transfer in decision.transfers
    }
    hosts.end()
    return Preview(decision, calls)


def _rehearse(
    transfer: Transfer, recorder: Recorder, asked: Mapping[tuple[str, str], int], now: datetime
) -> tuple[str, ...]:
    edges = Edges(
        now=lambda: now,
        wait=lambda _seconds: False,
        record_asked=lambda _domain, _memory_mib: None,
        stall=timedelta(seconds=1),
    )
    mine = {domain: memory_mib for (host, domain), memory_mib in asked.items() if host == transfer.host}
    carry_out(transfer, recorder, mine, edges)
    return tuple(recorder.calls)
