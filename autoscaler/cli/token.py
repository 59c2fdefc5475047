"""``autoscaler token``: who may use the API."""

from pathlib import Path

import click

from autoscaler.api.tokens import Scope, TokensError, add_token
from autoscaler.cli.common import EXIT_CODES, ConfigFailure, config_option, load_config


@click.group(epilog=EXIT_CODES)
def token() -> None:
    """Say who may use the API.

    The file `api.tokens_file` has a line for each token; without its line a token is refused at once.

    \b
    Examples:
      autoscaler token add grafana --scope alerts
    """


@token.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([each.value for each in Scope]),
    multiple=True,
    required=True,
    help="What it is for: to read (viewer), also to undo what alerts change (operator), to send alerts, or to announce "
    "sessions; may be given twice.",
)
@config_option
def add(name: str, scopes: tuple[str, ...], config_file: Path) -> None:
    """Make a token called NAME and print it, once: the file has only its hash.

    Run it as the user that the controller runs as, who has to read the file; root gives it to the folder's owner.

    \b
    Examples:
      autoscaler token add grafana --scope alerts
      autoscaler token add wall --scope viewer
      autoscaler token add login --scope sessions
    """
    file = load_config(config_file).config.api.tokens_file
    try:
        click.echo(add_token(file, name, frozenset(map(Scope, scopes))))
    except TokensError as error:
        raise ConfigFailure(str(error)) from None
