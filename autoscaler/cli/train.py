"""``autoscaler train``: a model of the site's load, its backtest, and whether it acts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.common import (
    EXIT_CODES,
    ConfigFailure,
    DegradedFailure,
    config_option,
    echo_json,
    format_option,
    load_config,
    shelf_of,
)
from autoscaler.cli.model import card_json, show_card, warn_of_age
from autoscaler.cli.parameters import Span
from autoscaler.cli.progress import share_bar, tracked
from autoscaler.config.document import ConfigError
from autoscaler.config.load import Loaded
from autoscaler.config.policies import PolicyError, policy_like
from autoscaler.config.schema import PrometheusSection
from autoscaler.learning.card import Card, Draft
from autoscaler.learning.forest import QuantileForest
from autoscaler.service.backtest import ClosedLoop, Judge
from autoscaler.service.minutes import MINUTE, Minutes, TooLittleError, from_sessions, from_windows, history_windows
from autoscaler.service.models import takes_a_model
from autoscaler.service.zone import site_zone
from autoscaler.simulation.constants import PHYSICS
from autoscaler.simulation.open_loop import Terms
from autoscaler.simulation.scenario_file import load_scenario
from autoscaler.simulation.simulate import PolicyFailedError
from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import TraceError
from autoscaler.sources import UnreachableError
from autoscaler.sources.prometheus import PrometheusSource

if TYPE_CHECKING:
    from autoscaler.service.training import Contest

LEARNED = "learned"
# In the backtest: a cycle, a scrape, and a transfer, together.
REACTION_MIN = 1
# One domain's balloon is filled and another's emptied, each by one core; what a guest must swap for it is not known.
BALLOON_CORE_S_PER_MIB = 1 / PHYSICS.balloon_free_mib_per_s + 1 / PHYSICS.balloon_give_mib_per_s
# What the cost of a backtest is made of.
PRICES = ("workers_per_session", "wait_core_seconds", "idle_core_seconds")
# What a learned policy has to beat first, and what it must not be worse than.
REFERENCES = ("threshold", "target_tracking", "queue_length")


@click.command(epilog=EXIT_CODES)
@config_option
@format_option
@click.option("--since", type=Span(), metavar="SPAN", help="Learn from so much of the past.  [default: learning.since]")
@click.option(
    "--proof-trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Learn from recorded sessions and not from Prometheus: SWF, plain or gzip, or CSV with submit_s, run_s.",
)
@click.option("--proof-queue", type=int, metavar="N", help="Of an SWF trace only this queue.")
@click.option(
    "--wn-trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge the model beside these batch jobs, SWF or CSV, on the facility of --scenario; with --proof-trace.",
)
@click.option(
    "--scenario",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The facility that the model is judged on, as in autoscaler dry-run --scenario.",
)
@click.option("--promote", is_flag=True, help="Let the model act, whatever its backtest says.")
def train(
    config_file: Path,
    output: str,
    *,
    since: timedelta | None,
    proof_trace: Path | None,
    proof_queue: int | None,
    wn_trace: Path | None,
    scenario: Path | None,
    promote: bool,
) -> None:
    """Train a model of the PROOF load for the learned policy, and say how it does on days it has not seen.

    It learns from Prometheus's history, minute by minute; what is unknown or excluded (autoscaler model exclude) is a
    gap. First it is trained on the older part and played on the newer one, four weeks or more, in the open loop:
    what the policy wants is there a minute later. Its cost, by the policy's own prices and with the CPU time that
    moving memory takes, is compared by weeks with that of threshold, target_tracking and queue_length. With --scenario
    and --wn-trace they are played on the facility model instead, whose batch jobs lose what PROOF takes, at the cost
    that a dry run shows. Then it is trained on all, and put on the shelf beside the store. It acts from the
    controller's next cycle on if it was better than threshold and worse than none, or with --promote.

    \b
    Examples:
      autoscaler train --config autoscaler.yaml
      autoscaler train --config autoscaler.yaml --since 180d --format json | jq .acts
      autoscaler train --config autoscaler.yaml --proof-trace sessions.swf.gz --proof-queue 0
      autoscaler train --proof-trace proof.swf.gz --wn-trace wn.swf.gz --scenario scenario.yaml
    """
    if proof_queue is not None and proof_trace is None:
        raise click.UsageError("--proof-queue goes with --proof-trace")
    if (wn_trace is None) != (scenario is None) or (wn_trace is not None and proof_trace is None):
        raise click.UsageError("--wn-trace and --scenario go together, and with --proof-trace")
    loaded = load_config(config_file)
    with shelf_of(loaded) as shelf:
        shelf.check_writable()
        excluded = shelf.excluded()
        judge = None
        try:
            if proof_trace is None:
                minutes = _of_history(config_file, loaded, since or loaded.config.learning.since)
            else:
                minutes = _of_trace(proof_trace, proof_queue, since)
                if wn_trace is not None and scenario is not None:
                    judge = _closed_loop(scenario, proof_trace, proof_queue, wn_trace)
            draft, forest = _made(minutes.without(excluded).known(), judge, loaded)
        except TooLittleError as error:
            left_out = "; what is excluded does not count: autoscaler model list shows it" if excluded else ""
            raise DegradedFailure(f"{error}{left_out}") from None
        except UnreachableError as error:
            raise DegradedFailure(str(error)) from None
        except (TraceError, ConfigError, PolicyFailedError) as error:
            raise ConfigFailure(str(error)) from None
        card = shelf.add(draft, forest, datetime.now(UTC))
        acts = promote or draft.backtest.passed
        if acts:
            shelf.promote(card.number)
    _show(card, output, acts=acts)
    warn_of_age(
        card, loaded, "--proof-trace is of another time: it shows how the recipe does, and makes no model to use"
    )


def _of_history(config_file: Path, loaded: Loaded, since: timedelta) -> Minutes:
    section = loaded.config.source
    if not isinstance(section, PrometheusSection):
        raise ConfigFailure(
            f"{config_file}: source.kind is {section.kind}, which keeps no history to learn from: "
            "train needs kind: prometheus, or --proof-trace"
        )
    count = max(1, since // MINUTE)
    now = datetime.now(UTC)
    start = now.replace(second=0, microsecond=0) - count * MINUTE
    windows = history_windows(PrometheusSource.from_config(section, timedelta(0)), start, count)
    limits = loaded.config.guards.limits()
    return from_windows(tracked(windows, count, "reading"), start, site_zone(), limits, section.url)


def _of_trace(path: Path, queue: int | None, since: timedelta | None) -> Minutes:
    trace = read_sessions(path, queue=queue, workers=1)
    for remark in trace.remarks():
        click.echo(remark, err=True)
    minutes = from_sessions(trace.content, trace.start, trace.timezone, str(path))
    return minutes if since is None else minutes.part(max(0, len(minutes.loads) - since // MINUTE), len(minutes.loads))


def _closed_loop(scenario: Path, proof_trace: Path, queue: int | None, wn_trace: Path) -> ClosedLoop:
    found = load_scenario(scenario)
    use = found.traces
    sessions = read_sessions(
        proof_trace,
        queue=queue,
        workers=use.workers_per_session,
        read_bytes_per_worker_s=use.read_bytes_per_worker_s,
    )
    return ClosedLoop(found.scenario, sessions, read_jobs(wn_trace, memory_mib=use.job_memory_mib))


def _made(minutes: Minutes, judge: Judge | None, loaded: Loaded) -> tuple[Draft, QuantileForest]:
    try:
        from autoscaler.learning.training import TrainingError  # noqa: PLC0415 - scikit-learn is an extra
        from autoscaler.service.training import make_model  # noqa: PLC0415 - and takes a second to import
    except ModuleNotFoundError as error:
        raise ConfigFailure(
            f"training needs scikit-learn (no module named {error.name}): pip install 'vaf-autoscaler[learned]'"
        ) from None
    contest = _contest(loaded, judge)
    with share_bar("training") as tell:
        try:
            return make_model(minutes, contest, loaded.config.learning.horizon // MINUTE, tell)
        except TrainingError as error:
            raise TooLittleError(f"{minutes.source}: {error}") from None


def _contest(loaded: Loaded, judge: Judge | None) -> "Contest":
    from autoscaler.service.training import Contest  # noqa: PLC0415 - as above

    learned, parameters = _judged(loaded)
    terms = Terms(
        reaction_min=REACTION_MIN,
        workers_per_session=learned.workers_per_session,
        workers_max=sum(host.proof.workers_max for host in loaded.config.hosts),
        wait_core_s=learned.wait_core_seconds,
        idle_core_s=learned.idle_core_seconds,
        move_core_s=max(host.proof.memory_per_worker for host in loaded.config.hosts) * BALLOON_CORE_S_PER_MIB,
    )
    try:
        others = {name: policy_like(name, parameters) for name in REFERENCES}
    except PolicyError as error:
        raise ConfigFailure(f"what a model has to beat cannot be made of the configuration's policy: {error}") from None
    return Contest(learned, others, terms, judge)


def _judged(loaded: Loaded) -> tuple[Any, Mapping[str, Any]]:
    """The policy that a model is for, and its parameters: the acting one, else the first shadow that takes a model."""
    config = loaded.config
    named = [(loaded.policy, config.policy), *((loaded.shadows[name], each) for name, each in config.shadows.items())]
    for policy, section in named:
        if takes_a_model(policy) and all(hasattr(policy, name) for name in PRICES):
            return policy, section.parameters
    return policy_like(LEARNED, config.policy.parameters), config.policy.parameters


def _show(card: Card, output: str, *, acts: bool) -> None:
    if output == "json":
        echo_json({"acts": acts, "model": card_json(card)})
        return
    show_card(card, acts=acts)
    if acts:
        click.echo(f"model {card.number} acts from the controller's next cycle on")
    else:
        click.echo(f"model {card.number} does not act: autoscaler model promote {card.number} lets it")
