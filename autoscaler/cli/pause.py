"""``autoscaler pause`` and ``autoscaler resume``: hosts that are to be left as they are for a while."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from autoscaler.cli.common import EXIT_CODES, config_option, load_config, local, open_store_to_order
from autoscaler.cli.orders import HEARD, called, for_option, hosts_of, not_by_hand, reason_option, who
from autoscaler.core.orders import NO_ORDERS, orders_by_host
from autoscaler.model import Direction, Orders, Pause

direction_option = click.option(
    "--direction",
    type=click.Choice([each.value for each in Direction]),
    help="Only growing, or only shrinking.  [default: both]",
)
target_argument = click.argument("target", metavar="[HOST|GROUP]", required=False)


@click.command(epilog=EXIT_CODES)
@target_argument
@direction_option
@for_option
@reason_option(required=True)
@config_option
def pause(target: str | None, direction: str | None, span: timedelta, reason: str, config_file: Path) -> None:
    """Leave the PROOF workers of a host, of a group's hosts, or of all hosts as they are for a time.

    Neither the load nor an override changes a paused host; what its hypervisor cannot hold is still taken back. A
    transfer that is under way goes on. The pause ends by itself, or by `autoscaler resume`; one that ends sooner does
    not shorten it. A host that comes into the group later is not paused.

    \b
    Examples:
      autoscaler pause --for 30m --reason "network works"
      autoscaler pause vaf-dom0-001 --for 2h --reason "kernel update"
      autoscaler pause rack-3 --direction grow --for 1d --reason "jobs of the production first"
    """
    loaded, since = load_config(config_file), datetime.now(UTC)
    hosts, until = hosts_of(loaded, target), since + span
    pauses = [Pause(host, each, since, until, who(), reason) for host in hosts for each in _directions(direction)]
    with open_store_to_order(loaded) as store:
        standing = _outlasting(pauses, store.orders(since).pauses)
        store.record_pauses(each for each in pauses if (each.host, each.direction) not in standing)
    if len(standing) < len(pauses):
        doing = {None: "paused", "grow": "growing paused", "shrink": "shrinking paused"}[direction]
        click.echo(f"{called(target, hosts)}: {doing} until {local(until)}; {HEARD}")
    for words, longer in _by_words(Orders((*standing.values(),)), hosts, _directions(direction), since).items():
        click.echo(f"{_named(longer)}: {words}; it stays so, autoscaler resume ends it")


@click.command(epilog=EXIT_CODES)
@target_argument
@direction_option
@config_option
def resume(target: str | None, direction: str | None, config_file: Path) -> None:
    """End the pauses of a host, of a group's hosts, or of all hosts; without --direction their overrides, too.

    Maintenance that the configuration states goes on, and what alerts freeze: for that, see autoscaler tuning undo.

    \b
    Examples:
      autoscaler resume
      autoscaler resume vaf-dom0-001
      autoscaler resume rack-3 --direction grow
    """
    loaded, now = load_config(config_file), datetime.now(UTC)
    hosts = hosts_of(loaded, target)
    with open_store_to_order(loaded) as store:
        before = store.orders(now)
        store.end_pauses(hosts, _directions(direction))
        if direction is None:
            store.end_overrides(hosts)
        left, others = store.orders(now), not_by_hand(loaded, store, now)
    pauses, overrides = {*before.pauses} - {*left.pauses}, {*before.overrides} - {*left.overrides}
    if pauses or overrides:
        click.echo(f"{called(target, hosts)}: resumed; {HEARD}")
    else:
        click.echo("nothing was paused or set there")
    for words, still in _by_words(others, hosts, _directions(direction), now).items():
        click.echo(f"{_named(still)}: still {words}; resume does not end that")


def _outlasting(given: Iterable[Pause], before: Iterable[Pause]) -> dict[tuple[str, Direction], Pause]:
    """The pauses of before that end later than those given: whoever said them is still at work on their hosts."""
    ends = {(each.host, each.direction): each.until for each in given}
    known = {(each.host, each.direction): each for each in before}
    return {key: each for key, each in known.items() if key in ends and each.until > ends[key]}


def _named(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts"


def _by_words(orders: Orders, hosts: Sequence[str], ways: Sequence[Direction], now: datetime) -> dict[str, list[str]]:
    """The hosts by what pauses them: there may be a thousand, and of few kinds."""
    pauses = tuple(each for each in orders.pauses if each.direction in ways)
    by_host, found = orders_by_host(Orders(pauses), now), dict[str, list[str]]()
    for host in hosts:
        for words in by_host.get(host, NO_ORDERS).in_words():
            found.setdefault(words, []).append(host)
    return found


def _directions(direction: str | None) -> tuple[Direction, ...]:
    return tuple(Direction) if direction is None else (Direction(direction),)
