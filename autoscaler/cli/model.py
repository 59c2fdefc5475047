"""``autoscaler model``: the models on the shelf, and which of them acts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from autoscaler.cli.common import (
    EXIT_CODES,
    config_option,
    echo_json,
    format_option,
    load_config,
    local,
    shelf_of,
)
from autoscaler.cli.parameters import Moment
from autoscaler.cli.tables import WAITING, console
from autoscaler.config.load import Loaded
from autoscaler.config.units import duration_text
from autoscaler.learning.card import Card, Data, Score
from autoscaler.learning.shelf import Refused

# Of the features those that matter most; JSON has all.
FEATURES_SHOWN = 10
# Less is +0% in print.
LEAST_SHOWN = 0.005

number_argument = click.argument("number", type=click.IntRange(min=1))


@click.group(epilog=EXIT_CODES)
def model() -> None:
    """Look at the models of the learned policy, and say which one acts.

    They are in the folder models beside the store. The running controller takes over what is said here at its next
    cycle. A model that is foreign, altered, or made with another scikit-learn is refused, and says so.

    \b
    Examples:
      autoscaler model list
      autoscaler model show 7
      autoscaler model promote 7
      autoscaler model rollback
      autoscaler model reset
      autoscaler model exclude 2026-12-24 2027-01-07
    """


@model.command("list", epilog=EXIT_CODES)
@config_option
@format_option
def list_models(config_file: Path, output: str) -> None:
    """List the models with what they were made from and how they did, and the times that none learns from.

    \b
    Examples:
      autoscaler model list
      autoscaler model list --format json | jq .acting
    """
    with shelf_of(load_config(config_file)) as shelf:
        entries, acting, excluded = shelf.entries(), shelf.trail().acting, shelf.excluded()
    if output == "json":
        echo_json(
            {
                "acting": acting,
                "models": [card_json(each) for each in entries if isinstance(each, Card)],
                "refused": [{"number": each.number, "why": each.why} for each in entries if isinstance(each, Refused)],
                "excluded": msgspec.to_builtins(excluded),
            }
        )
        return
    if not entries:
        click.echo("there is no model yet: autoscaler train makes one")
    else:
        console().print(_list_table(entries, acting))
    for each in excluded:
        click.echo(f"no model learns from {local(each.begin)} to {local(each.end)}")


@model.command(epilog=EXIT_CODES)
@number_argument
@config_option
@format_option
def show(number: int, config_file: Path, output: str) -> None:
    """Show the card of model NUMBER: its data, its versions, how it did on days it had not seen, what it looks at.

    \b
    Examples:
      autoscaler model show 7
      autoscaler model show 7 --format json | jq .backtest
    """
    with shelf_of(load_config(config_file)) as shelf:
        card = shelf.read(number).card
        acts = shelf.trail().acting == number
    if output == "json":
        echo_json(card_json(card))
        return
    show_card(card, acts=acts)


@model.command(epilog=EXIT_CODES)
@number_argument
@config_option
def promote(number: int, config_file: Path) -> None:
    """Let model NUMBER act, whatever its backtest says.

    \b
    Example:
      autoscaler model promote 7
    """
    loaded = load_config(config_file)
    with shelf_of(loaded) as shelf:
        card = shelf.promote(number)
    click.echo(f"model {number} acts from the next cycle on; its backtest: {card.backtest.verdict}")
    warn_of_age(card, loaded, "train a new one")


@model.command(epilog=EXIT_CODES)
@config_option
def rollback(config_file: Path) -> None:
    """Let the model act that acted before, the last one that is still whole.

    \b
    Example:
      autoscaler model rollback
    """
    with shelf_of(load_config(config_file)) as shelf:
        card = shelf.rollback()
    click.echo(f"model {card.number}, made {local(card.made_at)}, acts from the next cycle on")


@model.command(epilog=EXIT_CODES)
@config_option
def reset(config_file: Path) -> None:
    """Let no model act: the learned policy is then the threshold policy. The models are kept.

    The next nightly training may promote one again; learning.refit_at: null in the configuration keeps it from that.

    \b
    Example:
      autoscaler model reset
    """
    with shelf_of(load_config(config_file)) as shelf:
        shelf.reset()
    click.echo(
        "no model acts from the next cycle on; autoscaler model rollback lets the last one act again, and so may the "
        "nightly training (learning.refit_at)"
    )


@model.command(epilog=EXIT_CODES)
@click.argument("begin", metavar="FROM", type=Moment())
@click.argument("end", metavar="TO", type=Moment())
@config_option
def exclude(begin: datetime, end: datetime, config_file: Path) -> None:
    """Let no later model learn from the time between FROM and TO: holidays, a break-down, a test. Local time.

    What was excluded by mistake can be taken out of the file excluded.json beside the models.

    \b
    Examples:
      autoscaler model exclude 2026-12-24 2027-01-07
      autoscaler model exclude 2026-11-23T14:30 2026-11-23T18:00
    """
    if begin >= end:
        raise click.UsageError("FROM is not before TO")
    with shelf_of(load_config(config_file)) as shelf:
        count = len(shelf.exclude(begin, end))
    click.echo(f"no later model learns from {local(begin)} to {local(end)}; {count} such times in all")


def outlived(data: Data, loaded: Loaded) -> timedelta | None:
    """The age that data are beyond, so that no policy of the configuration trusts a model of them; else nothing."""
    policies = (loaded.policy, *loaded.shadows.values())
    limits = [each.model_max_age for each in policies if hasattr(each, "model_max_age")]
    return max(limits) if limits and datetime.now(UTC) - data.end > max(limits) else None


def warn_of_age(card: Card, loaded: Loaded, remedy: str) -> None:
    """Say that a policy of the configuration will not trust a model, because it ends too long ago."""
    limit = outlived(card.data, loaded)
    if limit is not None:
        click.echo(
            f"model {card.number} knows the load until {local(card.data.end)}: older than model_max_age, which is "
            f"{duration_text(limit)}, so that its forecasts will have no say: {remedy}",
            err=True,
        )


def card_json(card: Card) -> dict[str, Any]:
    """A card for scripts."""
    values: dict[str, Any] = msgspec.to_builtins(card)
    return values


def show_card(card: Card, *, acts: bool) -> None:
    """A card for people."""
    out = console()
    data, tested = card.data, card.backtest
    out.print(f"model {card.number}, made {local(card.made_at)}{', acts' if acts else ''}")
    out.print(f"  learned from {data.source}: {local(data.begin)} to {local(data.end)}, hours of {data.zone}")
    out.print(f"  {data.minutes} minutes, {data.gap_minutes} of them without a known load")
    out.print(f"  looks {card.horizon_min} to {2 * card.horizon_min} minutes ahead")
    out.print(f"  {card.missed_arrivals_target:.1%} of the arrivals may be missed, by the policy's prices")
    out.print("  made with " + ", ".join(f"{name} {version}" for name, version in sorted(card.versions.items())))
    out.print(f"  sha256 {card.sha256}")
    out.print(
        f"backtest ({tested.loop} loop), {local(tested.begin)} to {local(tested.end)}, trained on what came before:"
    )
    out.print(_score_table(tested.scores))
    for note in tested.notes:
        out.print(f"  {note}")
    out.print(f"learned: {tested.verdict}")
    shown = [f"{name} {share:+.0%}" for name, share in card.importance.items() if share >= LEAST_SHOWN]
    out.print("what matters most: " + (", ".join(shown[:FEATURES_SHOWN]) or "nothing that it looks at"))


def _score_table(scores: Sequence[Score]) -> Table:
    table = Table("Policy", "Missed arrivals", "Spare workers", "Changes/day", "Cost/week, core h", "Learned is")
    for each in scores:
        missed = WAITING if each.missed_arrivals_ratio is None else f"{each.missed_arrivals_ratio:.1%}"
        figures = (f"{each.spare_workers_mean:.2f}", f"{each.changes_per_day:.0f}", f"{each.cost_per_week:.2f}")
        table.add_row(each.policy, missed, *figures, each.verdict or WAITING)
    return table


def _list_table(entries: Sequence[Card | Refused], acting: int | None) -> Table:
    table = Table("No.", "Acts", "Made", "Learned from", "Backtest")
    for each in entries:
        acts = "acts" if each.number == acting else ""
        if isinstance(each, Refused):
            table.add_row(str(each.number), acts, WAITING, WAITING, f"refused: {each.why}")
        else:
            span = f"{local(each.data.begin)} to {local(each.data.end)}"
            table.add_row(str(each.number), acts, local(each.made_at), span, each.backtest.verdict)
    return table
