"""Plays a workload on a facility under a policy: the controller's own ``decide`` and guards, on a simulated clock.

A discrete-event simulation. Between two events every rate is constant, so that sums are exact; one run is a pure
function of its arguments.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from autoscaler.contracts import Policy, Remembering
from autoscaler.core.decide import decide
from autoscaler.core.rest import Rest
from autoscaler.core.rules import Rules
from autoscaler.model import Demand, HostObservation, HostTimers, Memory, Situation, Transfer, Window
from autoscaler.simulation.agenda import Agenda
from autoscaler.simulation.batch import Batch
from autoscaler.simulation.courses import Courses
from autoscaler.simulation.evolve import remembered
from autoscaler.simulation.machine import Site
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.movement import Movement
from autoscaler.simulation.readings import SIGNALS, Readings, Values, seen_by
from autoscaler.simulation.run import Move, Run
from autoscaler.simulation.scenario import Scenario
from autoscaler.simulation.sessions import Sessions
from autoscaler.simulation.workload import Workload
from autoscaler.value import Value

Progress = Callable[[float], None]

# Often enough for a bar to move, seldom enough to cost nothing.
CYCLES_PER_PROGRESS = 1000
BYTES_PER_MIB = 2.0**20


class PolicyFailedError(Exception):
    """The policy, or a guard, raised in the simulation, or it cannot be played; the message says which, when, what."""


def simulate(
    scenario: Scenario, workload: Workload, policy: Policy, label: str, progress: Progress | None = None
) -> Run:
    """Play ``workload``; ``progress`` is told the share that is done. Raises ``PolicyFailedError``."""
    if unknown := set(seen_by(policy)) - set(SIGNALS):
        # It would hold all the time, and look like a policy that lets everybody wait.
        needs = ", ".join(sorted(unknown))
        raise PolicyFailedError(f"{label}: needs {needs}, which the model does not have; it has {', '.join(SIGNALS)}")
    return _Simulation(scenario, workload, policy, label).run(progress or (lambda _share: None))


class _Answered(Value, frozen=True):
    """A policy that has been asked: a cycle asks it once, whether it is then decided in full or not."""

    signals: tuple[str, ...]
    history: timedelta
    demand: Demand

    def decide(self, window: Window) -> Demand:  # noqa: ARG002 - it is the window that was asked about
        return self.demand


class _Simulation:
    def __init__(self, scenario: Scenario, workload: Workload, policy: Policy, label: str) -> None:
        self._scenario, self._workload, self._policy, self._label = scenario, workload, policy, label
        self._facility = scenario.facility
        self._agenda = Agenda()
        self._interval_s = scenario.interval.total_seconds()
        self._meter = Meter(self._interval_s)
        self._sites = [Site(machine, scenario.physics, self._meter) for machine in scenario.machines]
        self._by_name = {site.name: site for site in self._sites}
        self._courses = {site.name: Courses(site.host, scenario.physics) for site in self._sites}
        self._readings = Readings(
            self._agenda,
            policy,
            workload.start,
            interval=scenario.interval,
            age=scenario.reading_age,
            unheard=scenario.unheard,
            state=self._state,
        )
        # First: a run begins with a cycle, before anything comes.
        self._agenda.plan(0.0, self._cycle)
        self._batch = Batch(self._agenda, self._sites, workload.jobs, self._touched)
        self._sessions = Sessions(
            self._agenda,
            self._sites,
            workload.sessions,
            meter=self._meter,
            workers_max=scenario.workers_max,
            touched=self._touched,
            storage_bytes_per_s=scenario.storage_bytes_per_s,
        )
        self._timers: dict[str, HostTimers] = {}
        self._rest = Rest()
        self._timeless = getattr(policy, "timeless", False)
        self._demand: Demand | None = None
        self._remembers = policy if isinstance(policy, Remembering) else None
        self._memory: Memory = {}
        self._settled: tuple[int | None, bool] | None = None
        self._moves: list[Move] = []
        self._evaluated = 0
        self._cycles = 0
        self._progress: Progress = lambda _share: None
        self._plan_reading(0)

    def run(self, progress: Progress) -> Run:
        self._progress = progress
        end_s = self._workload.duration_s
        self._agenda.run_until(end_s)
        self._meter.advance(end_s)
        progress(1.0)
        return Run(
            policy=self._label,
            duration_s=end_s,
            sessions=self._sessions.served(),
            moves=tuple(self._moves),
            course=self._sessions.course(),
            cycles=self._meter.cycles(),
            jobs_submitted=self._batch.submitted,
            jobs_finished=self._batch.finished,
            evaluated=self._evaluated,
        )

    def _plan_reading(self, step: int) -> None:
        reading = self._workload.reading
        if reading is not None and step <= len(reading.bytes_per_s):
            self._agenda.plan(step * reading.step_s, partial(self._others_read, step))

    def _others_read(self, step: int, at_s: float) -> None:
        values = self._workload.reading.bytes_per_s if self._workload.reading else ()
        self._sessions.others_read(at_s, values[step] if step < len(values) else 0.0)
        self._plan_reading(step + 1)

    def _touched(self, at_s: float, site: Site) -> None:
        """A site's jobs, workers or shares have changed."""
        self._batch.site_changed(site)
        if site.worker_speed != site.told_speed:
            site.told_speed = site.worker_speed
            self._sessions.site_changed(at_s, site)

    def _state(self) -> Values:
        """What the signals would show now, in the order of ``SIGNALS``."""
        sessions = self._sessions
        swap_in_bytes_per_s = self._meter.swap_in_mib_per_s * BYTES_PER_MIB
        return (
            float(sessions.queued),
            float(sessions.running),
            float(self._batch.running),
            sessions.read_bytes_per_s,
            swap_in_bytes_per_s,
        )

    def _cycle(self, at_s: float) -> None:
        """One pass of the controller. One that is proven to change nothing is not decided in full."""
        self._meter.advance(at_s)
        self._meter.begin_cycle()
        self._readings.begin_cycle(at_s)
        if self._demand is None or not (self._timeless and self._readings.still):
            self._demand = self._ask(self._window())
        demand = self._demand
        # A demand to hold changes nothing, and one that has been met changes nothing more.
        if demand.workers is not None and (demand.workers, demand.may_shrink) != self._settled:
            self._decide(at_s, self._window(), demand)
        self._cycles += 1
        if not self._cycles % CYCLES_PER_PROGRESS:
            self._progress(at_s / self._workload.duration_s)
        # Counted, not added up: a sum of fractions would drift.
        self._agenda.plan(self._cycles * self._interval_s, self._cycle)

    def _window(self) -> Window:
        window = self._readings.window()
        return replace(window, memory=self._memory) if self._memory else window

    def _ask(self, window: Window) -> Demand:
        try:
            demand = self._policy.decide(window)
            if self._remembers is not None:
                self._memory = self._remembers.remember(window, demand)
        except Exception as error:
            raise self._failed(window, f"{type(error).__name__}: {error}") from error
        return demand

    def _failed(self, window: Window, why: str) -> PolicyFailedError:
        return PolicyFailedError(f"{self._label}: {window.now:%Y-%m-%d %H:%M}: {why}")

    def _decide(self, at_s: float, window: Window, demand: Demand) -> None:
        self._evaluated += 1
        answered = _Answered(self._policy.signals, self._policy.history, demand)
        observed = tuple([site.seen or site.observation() for site in self._sites])
        situation = Situation(window, observed, tuple(self._timers.values()))
        rules = Rules(answered, self._scenario.limits, told=self._tell)
        decision = decide(situation, self._facility, rules, self._rest)
        if decision.error:
            raise self._failed(window, decision.error)
        quiet = True
        for host, seen in zip(decision.hosts, observed, strict=True):
            if host.transfer is not None:
                self._begin(at_s, seen, host.transfer, host.reason)
            # Hosts that were moving may be wanted otherwise; what a guard has cut, it may let through later.
            if host.cuts or host.wanted is None:
                quiet = False
        self._settled = (demand.workers, demand.may_shrink) if quiet else None

    def _tell(self, _name: str, _policy: Policy) -> str:
        """Nobody reads what a decision calls it."""
        return self._label

    def _begin(self, at_s: float, observed: HostObservation, transfer: Transfer, reason: str) -> None:
        site = self._by_name[transfer.host]
        course = self._courses[site.name].of(observed, transfer, site.busy_cores)
        timers = self._timers.get(transfer.host) or HostTimers(transfer.host)
        self._timers[transfer.host] = remembered(timers, transfer, self._now(at_s))
        site.begin(at_s, transfer)
        self._sessions.supplied(at_s)
        for arrival_s in course.arrivals:
            self._agenda.plan(at_s + arrival_s, partial(self._add_worker, site))
        if course.squeeze_from_s is not None:
            self._agenda.plan(at_s + course.squeeze_from_s, partial(self._squeeze, site))
        self._agenda.plan(at_s + course.duration_s, partial(self._end, site, course))
        self._touched(at_s, site)
        self._moves.append(
            Move(
                at_s=at_s,
                host=site.name,
                workers_from=transfer.workers_from,
                workers_to=min(transfer.workers_to, transfer.workers_from + len(course.arrivals)),
                moved_mib=course.moved_mib,
                swapped_mib=course.swapped_mib,
                reason=reason,
            )
        )

    def _add_worker(self, site: Site, at_s: float) -> None:
        site.add_worker(at_s)
        self._touched(at_s, site)
        self._sessions.supplied(at_s)

    def _squeeze(self, site: Site, at_s: float) -> None:
        site.squeeze(at_s)
        self._touched(at_s, site)

    def _end(self, site: Site, course: Movement, at_s: float) -> None:
        site.end(at_s, course.left.items(), course.swapped_mib)
        if course.strained:
            self._settled = None
            self._timers[site.name] = replace(self._timers[site.name], strained_at=self._now(at_s))
        self._touched(at_s, site)

    def _now(self, at_s: float) -> datetime:
        return self._workload.start + timedelta(seconds=at_s)
