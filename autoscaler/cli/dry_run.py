"""``autoscaler dry-run``: what a configuration would do or would have done, and why, without doing it."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click
from click.core import ParameterSource

from autoscaler.cli.common import EXIT_CODES, config_option
from autoscaler.cli.dry_run_asked import Asked, Contest
from autoscaler.cli.dry_run_decisions import decide_again
from autoscaler.cli.dry_run_history import replay_history
from autoscaler.cli.dry_run_live import look_now
from autoscaler.cli.dry_run_scenario import HTML, compare_policies
from autoscaler.cli.parameters import Span


class File(click.Path):
    """A file that has a name: an empty one, as of a variable that is not set, would be the folder one is in."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Take it as a path."""
        return super().convert(value, param, ctx) if str(value) else self.fail("the name is empty", param, ctx)


@dataclass(frozen=True, slots=True)
class Mode:
    """One kind of dry run: the option that asks for it, the options that it takes besides, and what it does.

    ``run`` returns the exit code.
    """

    option: str | None
    takes: frozenset[str]
    run: Callable[[Asked], int]

    @property
    def name(self) -> str:
        """The mode in words."""
        return "a dry run of the live facility" if self.option is None else self.option


# It is the first one whose option is given, the last one when none is.
CONTEST = frozenset(
    {
        *("--proof-trace", "--proof-queue", "--wn-trace", "--xrootd-trace"),
        *("--policies", "--output", "--jobs", "--dask"),
    }
)
MODES = (
    Mode("--scenario", CONTEST, compare_policies),
    Mode("--from-decisions", frozenset({"--config", "--since", "--against", "--limit"}), decide_again),
    Mode("--since", frozenset({"--config", "--against", "--limit"}), replay_history),
    Mode(None, frozenset({"--config", "--against"}), look_now),
)
EVERY_MODE_TAKES = frozenset({"--format"})


@click.command("dry-run", epilog=EXIT_CODES)
@config_option
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", HTML]),
    default="table",
    show_default=True,
    help="A table to read, JSON for scripts, or with --scenario a page with plots.",
)
@click.option(
    "--since",
    type=Span(),
    metavar="SPAN",
    help="Replay so much of Prometheus's history; with --from-decisions, so much of the stored decisions.",
)
@click.option(
    "--against",
    type=File(),
    metavar="FILE",
    help="Show where this configuration decides differently.",
)
@click.option("--from-decisions", is_flag=True, help="Decide the stored decisions again.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="How many differences a table shows at most, the newest ones.",
)
@click.option(
    "--scenario",
    "scenarios",
    type=File(),
    metavar="FILE",
    multiple=True,
    help="Compare policies on traces, on this facility (deploy/scenario.yaml); may be given several times.",
)
@click.option(
    "--proof-trace",
    type=File(),
    metavar="FILE",
    help="PROOF sessions: SWF, plain or gzip, or CSV with submit_s, run_s, workers, user.",
)
@click.option("--proof-queue", type=click.IntRange(min=0), metavar="N", help="Of an SWF trace only this queue.")
@click.option(
    "--wn-trace",
    type=File(),
    metavar="FILE",
    help="Batch jobs: SWF, plain or gzip, or CSV with submit_s, run_s, cpu_ratio, memory_mib.",
)
@click.option(
    "--xrootd-trace",
    type=File(),
    metavar="FILE",
    help="What others read: CSV with at_s, bytes_per_second, or of transfers with start, fsz, elap.",
)
@click.option(
    "--policies",
    metavar="A,B,C",
    help="Policies by name, or by their label in the scenario; the others are compared with the first. "
    "All of the scenario by default.",
)
@click.option(
    "--output",
    "output_file",
    type=File(),
    metavar="FILE",
    help="Write there and not to the terminal.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that work at once.")
@click.option("--dask", metavar="ADDRESS", help="Let the Dask cluster of this scheduler work, tcp://HOST:8786.")
@click.pass_context
def dry_run(
    context: click.Context,
    config_file: Path,
    output: str,
    *,
    since: timedelta | None,
    against: Path | None,
    limit: int,
    from_decisions: bool,
    scenarios: tuple[Path, ...],
    proof_trace: Path | None,
    proof_queue: int | None,
    wn_trace: Path | None,
    xrootd_trace: Path | None,
    policies: str | None,
    output_file: Path | None,
    jobs: int,
    dask: str | None,
) -> None:
    """Show what the policy would do now: per host what is wanted, granted, what cut it, and why. Changes nothing.

    It reads the live facility over connections that cannot write, and the timers of the running controller.

    With --since it replays the policy over Prometheus's history, cycle by cycle, beside what was really done by the
    store. It contacts no hypervisor: each transfer counts as carried out at once and in full, and Worker Nodes use
    what they really used.

    With --from-decisions it decides every stored decision again, with this configuration and this program, and shows
    each difference. A new release shows none for the decisions of its own configuration.

    With --scenario it plays recorded workloads on a model of a facility, once for each policy, and says what each would
    have cost users and Grid. It needs no configuration, no Prometheus and no hypervisor.

    \b
    Examples:
      autoscaler dry-run --config autoscaler.yaml
      autoscaler dry-run --config autoscaler.yaml --format json | jq .hosts
      autoscaler dry-run --config autoscaler.yaml --since 7d
      autoscaler dry-run --config autoscaler.yaml --since 7d --against new.yaml
      autoscaler dry-run --config autoscaler.yaml --from-decisions
      autoscaler dry-run --scenario scenario.yaml --proof-trace sessions.csv --wn-trace jobs.swf.gz \\
        --policies threshold,target_tracking --format html --output review.html
    """
    del from_decisions  # it only chooses the mode
    mode = _mode(context)
    if output == HTML and mode.run is not compare_policies:
        raise click.UsageError(f"{mode.name} does not take --format {HTML}, which goes with --scenario", context)
    labels = () if policies is None else _labels(policies)
    contest = Contest(scenarios, proof_trace, proof_queue, wn_trace, xrootd_trace, labels, output_file, jobs, dask)
    context.exit(mode.run(Asked(config_file, output, since, against, limit, contest)))


def _labels(policies: str) -> tuple[str, ...]:
    labels = [label.strip() for label in policies.split(",")]
    if not all(labels):
        raise click.UsageError(f"--policies {policies!r} has an empty name in it")
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        raise click.UsageError(f"--policies names {twice[0]} more than once")
    return tuple(labels)


def _mode(context: click.Context) -> Mode:
    """The mode that the given options ask for; one that it does not take is a usage error."""
    given = {
        option.opts[-1]
        for option in context.command.params
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }
    mode = next(mode for mode in MODES if mode.option is None or mode.option in given)
    for option in sorted(given - EVERY_MODE_TAKES - mode.takes - {mode.option}):
        able = " or ".join(other.name for other in MODES if option in other.takes)
        alone = any(option == other.option for other in MODES)
        of_its_own = "which is another kind of dry run" + (f", or goes with {able}" if able else "")
        instead = of_its_own if alone else f"which goes with {able}"
        raise click.UsageError(f"{mode.name} does not take {option}, {instead}", context)
    return mode
