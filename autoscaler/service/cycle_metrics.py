"""The decisions as Prometheus sees them: what is known, what each host is to have and got, and how long that took.

Labels are hosts of the configuration, signals, guards, results and roles, so that the number of series is bounded: a
host that is no longer decided about leaves with all its series. What is not known has no series; it is not 0.
"""

import platform
import threading
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.core.guards import GUARDS
from autoscaler.core.rules import Rules
from autoscaler.model import Decision, DomainObservation, Facility, HostObservation, HostState, Outcome, Result
from autoscaler.service.controller import Cycle

CYCLE_BUCKETS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TRANSFER_BUCKETS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)

BYTES_PER_MIB = 1024 * 1024


class CycleMetrics(Collector):
    """Shows the newest cycle, and counts cuts and transfers since the start; safe for the hosts' threads."""

    def __init__(self, interval: timedelta) -> None:
        self._interval = interval
        self._proof: dict[str, str] = {}
        self._needed: frozenset[str] = frozenset()
        self._fresh_for = timedelta(0)
        self._lock = threading.Lock()
        self._newest: Decision | None = None
        self._hosts: frozenset[str] = frozenset()
        self._cycle_time = Histogram(
            "autoscaler_cycle_duration_seconds",
            "How long the parts of a cycle took, in seconds; transfers go on after it.",
            ["part"],
            registry=None,
            buckets=CYCLE_BUCKETS_S,
        )
        self._cuts = Counter(
            "autoscaler_guard_cuts", "How often a guard cut what a host was to have.", ["guard"], registry=None
        )
        self._transfers = Counter(
            "autoscaler_transfers", "Transfers that ended, by their result.", ["host", "result"], registry=None
        )
        self._transfer_time = Histogram(
            "autoscaler_transfer_duration_seconds",
            "How long transfers took, by their result, in seconds.",
            ["result"],
            registry=None,
            buckets=TRANSFER_BUCKETS_S,
        )
        self._strains = Counter(
            "autoscaler_strains", "Transfers that ended because a donor began to swap.", ["host"], registry=None
        )
        self._begin_at_0()

    def show(self, cycle: Cycle, facility: Facility, rules: Rules) -> None:
        """Let this be the newest cycle, of this facility and by these rules."""
        decision = cycle.decision
        with self._lock:
            for part, seconds in (("read", cycle.read_s), ("decide", cycle.decide_s), ("record", cycle.record_s)):
                self._cycle_time.labels(part).observe(seconds)
            for cut in (cut for host in decision.hosts for cut in host.cuts):
                self._cuts.labels(cut.guard).inc()
            self._newest = decision
            self._proof = {host.name: host.proof.name for host in facility.hosts}
            self._needed = frozenset(name for signals in rules.acting_signals.values() for name in signals)
            self._fresh_for = rules.limits.fresh_for
            self._know(frozenset(host.host for host in decision.hosts))

    def forget(self) -> None:
        """Show no cycle: another controller runs them now. What was counted stays."""
        with self._lock:
            self._newest = None

    def ended(self, outcome: Outcome) -> None:
        """Count a transfer that ended."""
        seconds = (outcome.ended_at - outcome.began_at).total_seconds()
        with self._lock:
            self._transfer_time.labels(outcome.result).observe(max(0.0, seconds))
            # It may end before its cycle is shown.
            self._know(self._hosts | {outcome.host})
            self._transfers.labels(outcome.host, outcome.result).inc()
            self._strains.labels(outcome.host).inc(outcome.strained is not None)

    def collect(self) -> Iterator[Metric]:
        """All metrics, of one moment."""
        with self._lock:
            yield from list(self._all())

    def _begin_at_0(self) -> None:
        """What is counted has its series from the start: a rate does not see the first one of a series that comes."""
        for guard in GUARDS:
            self._cuts.labels(guard.__name__)
        for ended in Result:
            self._transfer_time.labels(ended)

    def _know(self, hosts: frozenset[str]) -> None:
        for host in self._hosts - hosts:
            self._strains.remove(host)
            for result in Result:
                self._transfers.remove(host, result)
        for host in sorted(hosts - self._hosts):
            self._strains.labels(host)
            for result in Result:
                self._transfers.labels(host, result)
        self._hosts = hosts

    def _all(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "autoscaler_build",
            "The version of the controller, and of Python.",
            {"version": version("vaf-autoscaler"), "pythonversion": platform.python_version()},
        )
        yield _one("cycle_interval_seconds", "From one cycle to the next, in seconds.", self._interval.total_seconds())
        counted = (self._cycle_time, self._cuts, self._transfers, self._transfer_time, self._strains)
        for each in counted:
            yield from map(_without_times, each.collect())
        if self._newest is not None:
            yield from _facility(self._newest)
            yield from self._signals(self._newest)
            yield from _workers(self._newest)
            yield from _hosts(self._newest)
            yield from self._domains(self._newest)

    def _signals(self, decision: Decision) -> Iterator[Metric]:
        known = _of_signal("known", "Whether a signal is known (1) or not (0).")
        needed = _of_signal("needed", "Whether a policy that acts needs a signal (1) or not (0).")
        ages = _of_signal("age_seconds", "How old it was when the newest cycle read it, in seconds; none if unknown.")
        for series in decision.situation.window.series:
            age = series.age(decision.at)
            known.add_metric([series.signal], float(age is not None))
            needed.add_metric([series.signal], float(series.signal in self._needed))
            if age is not None:
                ages.add_metric([series.signal], age.total_seconds())
        yield from (known, needed, ages)
        help_text = "How old a signal may be, in seconds (guards.fresh_for); an older one is as good as unknown."
        yield _one("signal_fresh_for_seconds", help_text, self._fresh_for.total_seconds())

    def _domains(self, decision: Decision) -> Iterator[Metric]:
        memory = _gauge("memory_bytes", "Memory that a host's domains have, as last read back, in bytes.", "role")
        weight = _gauge("cpu_weight", "CPU weight of a host's domains on Xen's scale (256 is the default).", "role")
        cpu = CounterMetricFamily(
            "autoscaler_cpu_seconds",
            "CPU time that a host's domains got, in seconds.",
            labels=["host", "role"],
        )
        for host in decision.situation.hosts:
            for role, domains in self._by_role(host).items():
                labels = [host.host, role]
                memory.add_metric(labels, sum(each.allocation.memory_mib for each in domains) * BYTES_PER_MIB)
                weight.add_metric(labels, sum(each.allocation.cpu_weight for each in domains))
                cpu.add_metric(labels, sum(each.cpu_time_s for each in domains))
        yield from (memory, weight, cpu)

    def _by_role(self, host: HostObservation) -> dict[str, list[DomainObservation]]:
        """The domains by role: a host may have several Worker Nodes, and they are shown together."""
        found: dict[str, list[DomainObservation]] = {}
        for domain in host.domains:
            role = "proof" if domain.name == self._proof.get(host.host) else "wn"
            found.setdefault(role, []).append(domain)
        return found


def _facility(decision: Decision) -> Iterator[Metric]:
    failed = "Whether deciding failed, in the policy or in a guard, so that nothing was moved (1) or not (0)."
    yield _one("decision_failed", failed, float(decision.error is not None))
    yield _one("unplaced_workers", "Workers that are wanted and found no host with room.", decision.unplaced_workers)
    walks = "Whether signals were unknown for so long that hosts are walked to the safe split (1) or not (0)."
    yield _one("unknown_safe_split", walks, float(decision.safe_split is not None))
    unknown = GaugeMetricFamily(
        "autoscaler_signals_unknown_seconds",
        "For how long a policy that acts has missed a signal without a break, in seconds; none while it knows all.",
        labels=["policy"],
    )
    for who, since in decision.situation.unknown_since.items():
        unknown.add_metric([who], (decision.at - since).total_seconds())
    yield unknown
    policies = GaugeMetricFamily(
        "autoscaler_policy_info",
        "Which policy is in charge (acting), and which ones are only asked.",
        labels=["policy", "name"],
    )
    for label, policy in (("acting", decision.policy), *((each.name, each.policy) for each in decision.opinions)):
        policies.add_metric([label, policy.partition("(")[0].strip()], 1)
    yield policies


def _workers(decision: Decision) -> Iterator[Metric]:
    wanted = _gauge("wanted_workers", "Workers that a host was to have, before the guards.")
    granted = _gauge("granted_workers", "Workers that it was granted, after the guards.")
    observed = _gauge("observed_workers", "Workers that it had when the newest cycle read it.")
    cuts = _gauge("cut_workers", "Workers that a guard took from what was wanted; negative where it kept any.", "guard")
    for host in decision.hosts:
        for family, workers in ((wanted, host.wanted), (granted, host.granted), (observed, host.current)):
            if workers is not None:
                family.add_metric([host.host], workers)
        for cut in host.cuts:
            cuts.add_metric([host.host, cut.guard], cut.before - cut.after)
    yield from (wanted, granted, observed, cuts)


def _hosts(decision: Decision) -> Iterator[Metric]:
    states = _gauge("host_state", "1 for the state that a host is in, 0 for the others.", "state")
    problem = _gauge("host_problem", "Whether something of a host is out of order (1) or not (0).")
    for seen in decision.situation.hosts:
        for state in HostState:
            states.add_metric([seen.host, state], float(seen.state is state))
        problem.add_metric([seen.host], float(seen.problem is not None))
    quarantined = _gauge("host_quarantined", "Whether a host is in quarantine (1) or not (0).")
    there = {timers.host for timers in decision.situation.timers if timers.quarantine is not None}
    for host in decision.hosts:
        quarantined.add_metric([host.host], float(host.host in there))
    yield from (states, problem, quarantined)


def _of_signal(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"autoscaler_signal_{name}", help_text, labels=["signal"])


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"autoscaler_{name}", help_text, labels=["host", *labels])


def _one(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"autoscaler_{name}", help_text, value)


def _without_times(metric: Metric) -> Metric:
    """Leave out when each series was begun: nobody asks, and it would be a third series for each counter."""
    metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    return metric
