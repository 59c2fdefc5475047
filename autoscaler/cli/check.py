"""``autoscaler check``: whether a configuration is usable."""

from pathlib import Path

import click

from autoscaler.cli.common import EXIT_CODES, ConfigFailure, load_config
from autoscaler.cli.named_files import NamedFiles
from autoscaler.config.policies import policy_text


@click.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check the configuration FILE; every error is named by file, line, key and reason.

    The files that it names (passwords, tokens, certificates) have to be there, and be readable: run it as the user that
    the controller runs as. Neither hosts nor servers are asked.

    \b
    Example:
      autoscaler check /etc/vaf-autoscaler/autoscaler.yaml
    """
    loaded = load_config(file)
    named = NamedFiles(file, loaded)
    problems = list(named.problems())
    if problems:
        raise ConfigFailure("\n".join(problems))
    for warning in named.warnings():
        click.echo(f"Warning: {warning}", err=True)
    hosts = len(loaded.config.hosts)
    policy = policy_text(loaded.config.policy.name, loaded.policy)
    click.echo(f"{file}: good: {hosts} host{'s' if hosts > 1 else ''}, policy {policy}")
