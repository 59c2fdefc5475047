"""What the commands share: options, exit codes, and errors as sentences."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autoscaler.config.load import ConfigError, Loaded, load
from autoscaler.config.units import seconds_text
from autoscaler.contracts import StoreError
from autoscaler.core.guards import unknown_reason
from autoscaler.learning.shelf import ModelError, Shelf
from autoscaler.model import NO_MODEL, Decision, HostState, Series
from autoscaler.service.models import shelf_beside
from autoscaler.store.sql import EmptyStoreError, SqlStore

if TYPE_CHECKING:
    from autoscaler.store.postgresql import PostgresDatabase

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_CONFIG = "/etc/vaf-autoscaler/autoscaler.yaml"

EXIT_CONFIG = 1
EXIT_DEGRADED = 3
EXIT_STORE = 4
EXIT_DIFFERENT = 5

EXIT_CODES = f"""\b
Exit codes:
  0  done
  {EXIT_CONFIG}  the configuration cannot be used
  2  the command line cannot be understood
  {EXIT_DEGRADED}  done, but a host or a needed signal is unknown (dry-run, status, run --cycles),
     no cycle came in time (status), a cycle failed (run), or too little is known (train)
  {EXIT_STORE}  the store, a model or an address (run) cannot be used, or there is nothing to show
  {EXIT_DIFFERENT}  decisions are different (dry-run --from-decisions)"""


class ConfigFailure(click.ClickException):
    """Ends a command because of its configuration."""

    exit_code = EXIT_CONFIG


class DegradedFailure(click.ClickException):
    """Ends a command that did its work, but not all of it."""

    exit_code = EXIT_DEGRADED


class StoreFailure(click.ClickException):
    """Ends a command because of the store or a model, or because there is nothing to show."""

    exit_code = EXIT_STORE


class AddressFailure(click.ClickException):
    """Ends a command that cannot listen where it is to.

    Not with the code of a bad configuration, after which systemd does not try again: after a boot the address may only
    not be there yet.
    """

    exit_code = EXIT_STORE


def config_option(command: Command) -> Command:
    """Add ``--config FILE``."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        default=Path(DEFAULT_CONFIG),
        envvar="AUTOSCALER_CONFIG",
        show_default=True,
        show_envvar=True,
        help="The configuration.",
    )(command)


def format_option(command: Command) -> Command:
    """Add ``--format table|json``."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="A table to read, or JSON for scripts.",
    )(command)


def load_config(path: Path) -> Loaded:
    """The configuration; a problem with it ends the command with exit code 1."""
    try:
        return load(path)
    except ConfigError as error:
        raise ConfigFailure(str(error)) from None


def store_place(loaded: Loaded) -> "Path | PostgresDatabase":
    """Where decisions are stored; a missing extra ends the command with exit code 1."""
    section = loaded.config.store
    if section.url is None:
        return loaded.config.controller.store
    try:
        from autoscaler.store.postgresql import PostgresDatabase  # noqa: PLC0415 - of an extra that few sites need
    except ModuleNotFoundError as error:
        raise ConfigFailure(
            f"store.url needs more packages (no module named {error.name}): pip install 'vaf-autoscaler[postgresql]'"
        ) from None
    return PostgresDatabase(section.url, section.password_file)


def store_exists(loaded: Loaded) -> bool:
    """Whether there is a store; what keeps from looking ends the command with exit code 4."""
    place = store_place(loaded)
    try:
        if isinstance(place, Path):
            return place.exists()
        SqlStore(place, read_only=True).close()
    except OSError as error:
        raise StoreFailure(f"store {place} cannot be reached: {error.strerror}") from None
    except EmptyStoreError:
        return False
    except StoreError as error:
        raise StoreFailure(str(error)) from None
    return True


@contextmanager
def open_store(loaded: Loaded) -> Iterator[SqlStore]:
    """The store, read-only; a problem with it ends the command with exit code 4."""
    try:
        store = SqlStore(store_place(loaded), read_only=True)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise StoreFailure(str(error)) from None


@contextmanager
def open_store_to_order(loaded: Loaded) -> Iterator[SqlStore]:
    """The store, to write what a person says; a problem with it ends the command with exit code 4.

    The controller makes the store, and brings it up to date: one that it does not know would not be heard.
    """
    with open_store(loaded):
        pass
    try:
        with closing(SqlStore(store_place(loaded))) as store:
            yield store
    except StoreError as error:
        raise StoreFailure(str(error)) from None


@contextmanager
def shelf_of(loaded: Loaded) -> Iterator[Shelf]:
    """The models beside the store; a problem with them ends the command with exit code 4."""
    try:
        yield shelf_beside(loaded.config.controller.store)
    except ModelError as error:
        raise StoreFailure(str(error)) from None


def trouble(decision: Decision, loaded: Loaded) -> str | None:
    """What a decision could not know or do, in words; ``None`` when nothing."""
    unknown = unknown_reason(decision.situation.window, loaded.policy.signals, loaded.config.guards.limits())
    hosts = hosts_in_trouble(decision)
    left_out = f"in trouble: {', '.join(hosts)}" if hosts else None
    return "; ".join(filter(None, (decision.error, unknown, left_out))) or None


def hosts_in_trouble(decision: Decision) -> list[str]:
    """The hosts that are unusable, have a domain out of order, or are in quarantine."""
    situation = decision.situation
    quarantined = {timers.host for timers in situation.timers if timers.quarantine is not None}
    return [
        host.host
        for host in situation.hosts
        if host.state is HostState.UNUSABLE or host.problem is not None or host.host in quarantined
    ]


def echo_json(values: Any) -> None:
    """Print one JSON document on one line."""
    click.echo(json.dumps(values, allow_nan=False))


def age(now: datetime, at: datetime) -> str:
    """How long ago, in words."""
    return f"{seconds_text((now - at).total_seconds())} ago"


def local(at: datetime) -> str:
    """A time as the administrator's clock shows it."""
    return at.astimezone().isoformat(sep=" ", timespec="seconds")


def reading_of(series: Series, now: datetime) -> str:
    """A signal's newest value with its age, or why it is unknown."""
    old = series.age(now)
    if old is None:
        return f"unknown: {series.problem}"
    return f"{series.latest:g}, {seconds_text(old.total_seconds())} old"


def policy_words(decision: Decision) -> str:
    """Which policy decided, and with which model where it takes one."""
    match decision.model:
        case None:
            return decision.policy
        case model if model == NO_MODEL:
            return f"{decision.policy} without a model"
        case model:
            return f"{decision.policy} with model {model}"


def width() -> int | None:
    """The width to write tables in: the terminal's, or a wide fixed one where there is none."""
    return None if os.isatty(1) else 160
