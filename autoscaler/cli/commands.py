"""The ``autoscaler`` command and its subcommands."""

import logging
import sys

import click

from autoscaler.cli.check import check
from autoscaler.cli.common import EXIT_CODES
from autoscaler.cli.config import config
from autoscaler.cli.demo import demo
from autoscaler.cli.dry_run import dry_run
from autoscaler.cli.explain import explain
from autoscaler.cli.history import history
from autoscaler.cli.model import model
from autoscaler.cli.pause import pause, resume
from autoscaler.cli.run import run
from autoscaler.cli.set_aside import set_aside_command
from autoscaler.cli.set_workers import set_workers
from autoscaler.cli.shadows import shadows
from autoscaler.cli.status import status
from autoscaler.cli.token import token
from autoscaler.cli.train import train
from autoscaler.cli.tuning import tuning
from autoscaler.service.log_format import TEXT


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(package_name="vaf-autoscaler")
def autoscaler() -> None:
    """Move memory and CPU between the PROOF and Worker Node domains of a Virtual Analysis Facility.

    \b
    Examples:
      autoscaler demo
      autoscaler check autoscaler.yaml
      autoscaler dry-run --config autoscaler.yaml
      autoscaler run --config autoscaler.yaml
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=TEXT)
    logging.getLogger("autoscaler").setLevel(logging.INFO)
    # A cycle that outlasts its interval is merged with the next by design; APScheduler warns of it each time.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


for command in (
    run,
    dry_run,
    status,
    history,
    explain,
    pause,
    resume,
    set_workers,
    tuning,
    token,
    shadows,
    train,
    model,
    check,
    config,
    set_aside_command,
    demo,
):
    autoscaler.add_command(command)
