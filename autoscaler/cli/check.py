"""``autoscaler check``: whether a configuration is usable."""

from pathlib import Path

import click

from autoscaler.cli.common import EXIT_CODES, load_config
from autoscaler.config.policies import policy_text


@click.command(epilog=EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check the configuration FILE; every error is named by file, line, key and reason.

    \b
    Example:
      autoscaler check /etc/vaf-autoscaler/autoscaler.yaml
    """
    loaded = load_config(file)
    hosts = len(loaded.config.hosts)
    policy = policy_text(loaded.config.policy.name, loaded.policy)
    click.echo(f"{file}: good: {hosts} host{'s' if hosts > 1 else ''}, policy {policy}")
