"""``autoscaler train``: a model of the site's load, its backtest, and whether it acts."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from autoscaler.cli.model import card_json, outlived, show_card, warn_of_age
from autoscaler.cli.parameters import Span
from autoscaler.cli.progress import share_bar, tracked
from autoscaler.cli.train_contest import contest_of, in_the_open_loop, on_a_scenario, on_the_site
from autoscaler.config.document import ConfigError
from autoscaler.config.load import Loaded
from autoscaler.config.schema import PrometheusSection
from autoscaler.learning.card import Card, Draft
from autoscaler.learning.forest import QuantileForest
from autoscaler.service.backtest import Judge
from autoscaler.service.minutes import MINUTE, Minutes, TooLittleError, from_sessions, from_windows, history_windows
from autoscaler.service.zone import site_zone
from autoscaler.simulation.simulate import PolicyFailedError
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import TraceError
from autoscaler.sources import UnreachableError
from autoscaler.sources.prometheus import PrometheusSource


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
    gap. First it is trained on the older part and played on the newer one, four weeks or more, on the model of this
    very facility: its hosts as the controller last saw them, the sessions and batch jobs that Prometheus counted, and
    the cost that a dry run shows. It is compared by weeks with that of threshold, target_tracking and queue_length.
    Where the hosts or the batch jobs were not seen, and with --proof-trace alone, they are played in the open loop:
    what a policy wants is there a minute later, at the policy's own prices. Then it is trained on all, and put on the
    shelf beside the store. It acts from the controller's next cycle on if it was better than threshold and worse than
    none, and knows a load that is not too old (model_max_age), or with --promote.

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
        try:
            if proof_trace is None:
                history = _of_history(config_file, loaded, since or loaded.config.learning.since)
            else:
                history = _of_trace(proof_trace, proof_queue, since)
            minutes = history.without(excluded).known()
            if proof_trace is None:
                judge = on_the_site(loaded, minutes)
            elif wn_trace is not None and scenario is not None:
                judge = on_a_scenario(scenario, proof_trace, proof_queue, wn_trace)
            else:
                judge = in_the_open_loop(loaded)
            draft, forest = _made(minutes, judge, loaded)
        except TooLittleError as error:
            left_out = "; what is excluded does not count: autoscaler model list shows it" if excluded else ""
            raise DegradedFailure(f"{error}{left_out}") from None
        except UnreachableError as error:
            raise DegradedFailure(str(error)) from None
        except (TraceError, ConfigError, PolicyFailedError) as error:
            raise ConfigFailure(str(error)) from None
        card = shelf.add(draft, forest, datetime.now(UTC))
        # However good it was: one that nobody trusts must not take the place of one that acts.
        acts = promote or (draft.backtest.passed and outlived(draft.data, loaded) is None)
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


def _made(minutes: Minutes, judge: Judge, loaded: Loaded) -> tuple[Draft, QuantileForest]:
    try:
        from autoscaler.learning.training import TrainingError  # noqa: PLC0415 - scikit-learn is an extra
        from autoscaler.service.training import make_model  # noqa: PLC0415 - and takes a second to import
    except ModuleNotFoundError as error:
        raise ConfigFailure(
            f"training needs scikit-learn (no module named {error.name}): pip install 'vaf-autoscaler[learned]'"
        ) from None
    contest = contest_of(loaded, judge)
    with share_bar("training") as tell:
        try:
            return make_model(minutes, contest, loaded.config.learning.horizon // MINUTE, tell)
        except TrainingError as error:
            raise TooLittleError(f"{minutes.source}: {error}") from None


def _show(card: Card, output: str, *, acts: bool) -> None:
    if output == "json":
        echo_json({"acts": acts, "model": card_json(card)})
        return
    show_card(card, acts=acts)
    if acts:
        click.echo(f"model {card.number} acts from the controller's next cycle on")
    else:
        click.echo(f"model {card.number} does not act: autoscaler model promote {card.number} lets it")
