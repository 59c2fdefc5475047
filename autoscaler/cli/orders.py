"""What the commands share that say something of hosts for a time: whom they name, who says it, and for how long."""

import getpass
import os
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import click

from autoscaler.cli.parameters import Span
from autoscaler.config.document import nobody
from autoscaler.config.load import Loaded
from autoscaler.core.situation import all_orders
from autoscaler.model import Orders
from autoscaler.store.sql import SqlStore

Command = TypeVar("Command", bound=Callable[..., Any])

HEARD = "the running controller sees it at its next cycle"


def for_option(command: Command) -> Command:
    """Add ``--for SPAN``, which has to be given: what nobody ends must end by itself."""
    return click.option("--for", "span", type=Span(), metavar="SPAN", required=True, help="For how long, such as 2h.")(
        command
    )


def reason_option(**extra: Any) -> Callable[[Command], Command]:
    """``--reason TEXT``; ``extra`` says whether it has to be given, or what it is without."""
    return click.option("--reason", type=_Text(), help="Why, for whoever looks later.", **extra)


def hosts_of(loaded: Loaded, target: str | None) -> tuple[str, ...]:
    """The host or the hosts of the group of this name, all without one; an unknown name is exit code 2."""
    config = loaded.config
    if target is None:
        return tuple(host.name for host in config.hosts)
    found = config.hosts_named(target)
    if not found:
        known = [*(host.name for host in config.hosts), *config.groups]
        raise click.BadParameter(nobody(target, known))
    return found


def called(target: str | None, hosts: Sequence[str]) -> str:
    """What to call them: there may be a thousand."""
    count = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
    if target is None:
        return f"all {count}"
    return target if hosts == (target,) else f"{target} ({count})"


def not_by_hand(loaded: Loaded, store: SqlStore, now: datetime) -> Orders:
    """The pauses that the configuration's maintenance and alerts make now, which no command of these ends."""
    return all_orders(Orders(), store.tunings(now), loaded.rules, now)


def who() -> str:
    """Who gives the command, by the name they logged in with."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user that has no name.
        return f"user {os.getuid()}"


class _Text(click.ParamType[str]):
    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return " ".join(value.split()) or self.fail("is empty", param, ctx)
