"""Tables of hosts, for people."""

from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.table import Table

from autoscaler.cli.common import width
from autoscaler.demo.play import Moment
from autoscaler.model import Allocation, Decision, Demand, DomainObservation, DomainState, HostDecision

WAITING = "-"


def console() -> Console:
    """Standard output; plain text where it is not a terminal. Names and reasons are text, never rich's markup."""
    return Console(width=width(), highlight=False, markup=False, emoji=False)


def demand_lines(decision: Decision) -> Iterator[str]:
    """What the policy wants, and where it is something else, what was made of it before it was spread over hosts."""
    demand, placed = decision.demand, decision.placed
    yield f"demand: {demand_text(demand, ' in the facility')}: {demand.reason}"
    if placed is not None:
        yield f"placed: {demand_text(placed, ' in the facility')}: {placed.reason.removeprefix(f'{demand.reason}; ')}"


def demand_text(demand: Demand, where: str = "") -> str:
    """How many workers are wanted, in words."""
    if demand.workers is None:
        return "hold"
    return f"{'' if demand.may_shrink else 'at least '}{demand.workers} workers{where}"


def decision_table(decision: Decision, calls: Mapping[str, tuple[str, ...]]) -> Table:
    """Each host with what it has, was wanted, granted, what cut it, and why."""
    table = Table("Host", "Workers", "Wanted", "Granted", "Cut by", "Why", "Would do")
    for host in decision.hosts:
        cuts = ", ".join(cut.guard for cut in host.cuts)
        done = "\n".join(calls.get(host.host, ())) or WAITING
        table.add_row(host.host, *_workers(host), cuts or WAITING, host.reason, done)
    return table


def _workers(host: HostDecision) -> tuple[str, str, str]:
    current, wanted, granted = (
        WAITING if workers is None else str(workers) for workers in (host.current, host.wanted, host.granted)
    )
    return current, wanted, granted


def moment_table(moment: Moment) -> Table:
    """The demo's live table: both domains of each host."""
    at = moment.record.decision.at
    table = Table("Host", "Domain", "CPU time", "Memory", "Cap", "Weight", "Workers", "Why", title=f"{at:%H:%M}")
    for seen, decided in zip(moment.hosts, moment.record.decision.hosts, strict=True):
        host = moment.facility.host(seen.host)
        for domain in seen.domains:
            proof = domain.name == host.proof.name
            workers = str(decided.granted) if proof and decided.granted is not None else ""
            table.add_row(
                host.name if proof else "",
                domain.name,
                f"{moment.cpu_time_s[domain.name] / 3600:.1f} h",
                memory_text(domain),
                cap_text(domain.allocation),
                str(domain.allocation.cpu_weight),
                workers,
                decided.reason if proof else "",
            )
    return table


def memory_text(domain: DomainObservation) -> str:
    """The memory of a domain, and what it does unless it runs."""
    standing = "" if domain.state is DomainState.RUNNING else f"{domain.state.in_words}, "
    return f"{standing}{domain.allocation.memory_mib} MiB"


def cap_text(allocation: Allocation) -> str:
    """A CPU cap in words."""
    return "no cap" if allocation.cpu_cap_cores is None else f"{allocation.cpu_cap_cores:g} cores"
