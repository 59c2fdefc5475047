"""``autoscaler set-aside``: a damaged store makes place for a new one."""

from datetime import UTC, datetime
from pathlib import Path

import click

from autoscaler.cli.common import EXIT_CODES, StoreFailure, config_option, load_config, store_exists
from autoscaler.contracts import StoreError
from autoscaler.store.aside import damage, set_aside
from autoscaler.store.sqlite import without_controller


@click.command("set-aside", epilog=EXIT_CODES)
@config_option
def set_aside_command(config_file: Path) -> None:
    """Move a damaged store aside, so that the controller begins a new one when it is started again.

    A sound store is left where it is. With the store go the decisions, the timers, and what each domain was asked for:
    the new one begins with what the hypervisors say. Stop the controller before: while it runs, nothing is moved.

    \b
    Examples:
      autoscaler set-aside --config autoscaler.yaml
    """
    loaded = load_config(config_file)
    if loaded.config.store.url is not None:
        raise StoreFailure(f"store {loaded.config.store.url} is no SQLite file: PostgreSQL's own tools restore it")
    store = loaded.config.controller.store
    if not store_exists(loaded):
        raise StoreFailure(f"store {store} does not exist")
    try:
        problem = damage(store)
        if problem is None:
            raise StoreFailure(f"store {store} is sound: it stays where it is")
        with without_controller(store):
            aside = set_aside(store, datetime.now(UTC))
    except StoreError as error:
        raise StoreFailure(str(error)) from None
    click.echo(f"store {store} is damaged ({problem}); it is now {aside}")
