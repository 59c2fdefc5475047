"""``autoscaler token``: who may use the API."""

from pathlib import Path

import click
from rich.table import Table

from autoscaler.api.tokens import Scope, TokensError, add_token, read_tokens
from autoscaler.cli.common import EXIT_CODES, ConfigFailure, config_option, echo_json, format_option, load_config
from autoscaler.cli.tables import console


@click.group(epilog=EXIT_CODES)
def token() -> None:
    """Say who may use the API.

    The file `api.tokens_file` has a line for each token; without its line a token is refused at once.

    \b
    Examples:
      autoscaler token add grafana --scope alerts
      autoscaler token list
    """


@token.command("list", epilog=EXIT_CODES)
@config_option
@format_option
def list_command(config_file: Path, output: str) -> None:
    """Show who has a token, and for what; never the token or its hash.

    \b
    Examples:
      autoscaler token list
      autoscaler token list --format json | jq .[].name
    """
    file = load_config(config_file).config.api.tokens_file
    try:
        found = [(each.name, sorted(each.scopes)) for each in read_tokens(file).values()]
    except TokensError as error:
        raise ConfigFailure(str(error)) from None
    if output == "json":
        echo_json([{"name": name, "scopes": scopes} for name, scopes in found])
        return
    if not found:
        click.echo(f"{file} has no token, see autoscaler token add --help")
        return
    table = Table("Token", "Scopes")
    for name, scopes in found:
        table.add_row(name, ", ".join(scopes))
    console().print(table)


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
