"""What a new model is judged by: which policies play, at which prices, on what."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.common import ConfigFailure, open_store, store_exists
from autoscaler.config.load import Loaded
from autoscaler.config.policies import PolicyError, policy_like
from autoscaler.service.backtest import ClosedLoop, Judge, OfTraces, OpenLoop
from autoscaler.service.minutes import Minutes
from autoscaler.service.models import takes_a_model
from autoscaler.service.own_site import LOOK_BACK, Seen, UnseenError, own_site, situations
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.open_loop import Terms
from autoscaler.simulation.readings import SIGNALS, seen_by
from autoscaler.simulation.scenario import Price
from autoscaler.simulation.scenario_file import load_scenario
from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.traces.sessions import read_sessions

if TYPE_CHECKING:
    from autoscaler.service.training import Contest

LEARNED = "learned"
# In the open loop: a cycle, a scrape, and a transfer, together.
REACTION_MIN = 1
# One domain's balloon is filled and another's emptied, each by one core; what a guest must swap for it is not known.
BALLOON_CORE_S_PER_MIB = 1 / PHYSICS.balloon_free_mib_per_s + 1 / PHYSICS.balloon_give_mib_per_s
# What the cost of a backtest is made of.
PRICES = ("workers_per_session", "wait_core_seconds", "idle_core_seconds")
# What a learned policy has to beat first, and what it must not be worse than.
REFERENCES = ("threshold", "target_tracking", "queue_length")


def on_the_site(loaded: Loaded, minutes: Minutes) -> Judge:
    """The site itself, by what its store has seen of it; where that is too little, the open loop, and a sentence."""
    try:
        return _own_site(loaded, minutes)
    except UnseenError as error:
        why = f"judged in the open loop, where batch jobs and full machines are not known: {error}"
        click.echo(why, err=True)
        return in_the_open_loop(loaded, why)


def in_the_open_loop(loaded: Loaded, *notes: str) -> OpenLoop:
    """No facility at all, at the policy's prices."""
    return OpenLoop(_terms(loaded), notes)


def on_a_scenario(scenario: Path, proof_trace: Path, queue: int | None, wn_trace: Path) -> ClosedLoop:
    """The facility of a file under recorded sessions and jobs; raises ``ConfigError``, ``TraceError``."""
    found = load_scenario(scenario)
    use = found.traces
    sessions = read_sessions(
        proof_trace,
        queue=queue,
        workers=use.workers_per_session,
        read_bytes_per_worker_s=use.read_bytes_per_worker_s,
    )
    return ClosedLoop(found.scenario, OfTraces(sessions, read_jobs(wn_trace, memory_mib=use.job_memory_mib)))


def contest_of(loaded: Loaded, judge: Judge) -> "Contest":
    """Who plays by whose prices. A policy that cannot be made ends the command."""
    from autoscaler.service.training import Contest  # noqa: PLC0415 - scikit-learn is an extra

    learned, parameters = _judged(loaded)
    try:
        others = {name: policy_like(name, parameters) for name in REFERENCES}
    except PolicyError as error:
        raise ConfigFailure(f"what a model has to beat cannot be made of the configuration's policy: {error}") from None
    return Contest(learned, others, _terms(loaded), judge)


def terms_of(learned: Any, workers_max: int, memory_per_worker_mib: int) -> Terms:
    """The open loop at a policy's prices, for so many workers of so much memory."""
    return Terms(
        reaction_min=REACTION_MIN,
        workers_per_session=learned.workers_per_session,
        workers_max=workers_max,
        wait_core_s=learned.wait_core_seconds,
        idle_core_s=learned.idle_core_seconds,
        move_core_s=memory_per_worker_mib * BALLOON_CORE_S_PER_MIB,
    )


def _terms(loaded: Loaded) -> Terms:
    learned, _ = _judged(loaded)
    proofs = [host.proof for host in loaded.config.hosts]
    most = sum(proof.workers_max for proof in proofs)
    return terms_of(learned, most, max(proof.memory_per_worker for proof in proofs))


def _own_site(loaded: Loaded, minutes: Minutes) -> ClosedLoop:
    learned, _ = _judged(loaded)
    if unseen := sorted(set(seen_by(learned)) - set(SIGNALS)):
        raise UnseenError(f"the policy looks at {', '.join(unseen)}, which the facility model does not have")
    price = Price(learned.wait_core_seconds)
    return own_site(loaded.config, _seen(loaded), minutes, price, learned.workers_per_session)


def _seen(loaded: Loaded) -> Seen:
    if not store_exists(loaded):
        return Seen()
    with open_store(loaded) as store:
        return Seen.of(loaded.config.facility(), situations(store.stream(datetime.now(UTC) - LOOK_BACK)))


def _judged(loaded: Loaded) -> tuple[Any, Mapping[str, Any]]:
    """The policy that a model is for, and its parameters: the acting one, else the first shadow that takes a model."""
    config = loaded.config
    named = [(loaded.policy, config.policy), *((loaded.shadows[name], each) for name, each in config.shadows.items())]
    for policy, section in named:
        if takes_a_model(policy) and all(hasattr(policy, name) for name in PRICES):
            return policy, section.parameters
    return policy_like(LEARNED, config.policy.parameters), config.policy.parameters
