"""The command ``vaf-exporter wn``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import click
from prometheus_client.core import Metric

from exporters.serving import Serving, Source, SourceUnavailable, require, serve, serving_options, timeout_option
from exporters.wn import gridengine, htcondor, pbs, slurm, torque
from exporters.wn.batch import DEFAULT_LIMITS, BatchSystem, Limits, job_metrics, node_metrics, usage_metrics
from exporters.wn.domains import domain_source
from exporters.wn.node_map import BadNodeMap, Placed, load_node_map, node_info_metrics
from exporters.wn.slurm_options import NOTHING_SAID, SlurmOptions, slurm_options

# A batch system is one file that says how its commands are asked, and one line here.
BATCH_SYSTEMS: Mapping[str, Callable[[Path | None, float], BatchSystem]] = {
    "slurm": slurm.system,
    "gridengine": gridengine.system,
    "htcondor": htcondor.system,
    "pbs": pbs.system,
    "torque": torque.system,
}

# How much longer than its commands a source may take: for what it makes of their answers.
READING_S = 1.0


def _node_map(_: click.Context, __: click.Parameter, file: Path | None) -> Sequence[Placed]:
    try:
        return load_node_map(file) if file else ()
    except BadNodeMap as error:
        raise click.BadParameter(str(error)) from error


@click.command("wn")
@click.option("--batch", type=click.Choice(list(BATCH_SYSTEMS)), help="The batch system.")
@click.option(
    "--commands",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the batch system's commands are; by default in the PATH.",
)
@timeout_option("a command")
@click.option(
    "--node-map",
    "placed",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_node_map,
    metavar="FILE",
    help="Lines 'node host domain': which libvirt domain on which host a worker node is.",
)
@click.option(
    "--max-queues",
    type=click.IntRange(min=0),
    default=DEFAULT_LIMITS.queues,
    show_default=True,
    help="How many queues get series of their own; the smaller ones are added up.",
)
@click.option(
    "--max-nodes",
    type=click.IntRange(min=0),
    default=DEFAULT_LIMITS.nodes,
    show_default=True,
    help="How many worker nodes get series of their own; the others are added up.",
)
@slurm_options
@click.option(
    "--libvirt",
    "uris",
    multiple=True,
    metavar="URI",
    help="Export the domains of this hypervisor, too; only reads. Example: qemu:///system. May be given several times.",
)
@click.option(
    "--max-domains",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="How many domains of all hypervisors get series; running ones come first.",
)
@serving_options(default_port=9612)
def command(
    *,
    batch: str | None,
    commands: Path | None,
    timeout_s: float,
    placed: Sequence[Placed],
    max_queues: int,
    max_nodes: int,
    of_slurm: SlurmOptions,
    uris: tuple[str, ...],
    max_domains: int,
    serving: Serving,
) -> None:
    """Export the Worker Nodes' batch jobs and slots, and their domains as hypervisors see them.

    \b
    Examples:
      vaf-exporter wn --batch slurm --cpu-efficiency
      vaf-exporter wn --batch htcondor --commands /usr/local/condor/bin --once
      vaf-exporter wn --libvirt qemu:///system
    """
    if batch is None and not uris:
        raise click.UsageError("Missing option '--batch' or '--libvirt'.")
    require("batch", "commands", "placed", "max_queues", "max_nodes", "cpu_efficiency", "url")
    require("uris", "max_domains")
    sources: list[Source] = []
    if batch is not None:
        system = _system(batch, commands, timeout_s, of_slurm)
        sources += batch_sources(system, timeout_s, Limits(max_queues, max_nodes), placed)
    if uris:
        sources.append(domain_source(uris, max_domains=max_domains, timeout_s=timeout_s))
    serve(*sources, serving=serving)


def _system(batch: str, commands: Path | None, timeout_s: float, of_slurm: SlurmOptions) -> BatchSystem:
    if batch == "slurm":
        return slurm.system(commands, timeout_s, of_slurm.rest(timeout_s), cpu_efficiency=of_slurm.cpu_efficiency)
    if of_slurm != NOTHING_SAID:
        raise click.UsageError("--cpu-efficiency and --slurmrestd are for --batch slurm.")
    return BATCH_SYSTEMS[batch](commands, timeout_s)


def batch_sources(
    system: BatchSystem, timeout_s: float, limits: Limits = DEFAULT_LIMITS, placed: Sequence[Placed] = ()
) -> list[Source]:
    """Return the sources of a batch system: its jobs, its nodes, and the use of CPU where that is asked for apart.

    They are read side by side, and one that is down does not make the others unknown.
    """

    def jobs() -> Iterable[Metric]:
        info = list(node_info_metrics(placed))
        try:
            return [*info, *job_metrics(system.jobs(), limits)]
        except SourceUnavailable as unavailable:
            # Which domain a node is, is known from a file.
            raise SourceUnavailable(unavailable.reason, [*info, *unavailable.known]) from unavailable

    def nodes() -> Iterable[Metric]:
        known = system.nodes()
        if not known:
            # A collector that has just been started knows of no machine yet; a farm without any is no farm.
            raise SourceUnavailable("the batch system lists no worker node at all")
        return node_metrics(known, limits)

    deadline_s = timeout_s + READING_S
    sources = [
        Source("wn", jobs, deadline_s=deadline_s),
        Source("wn_nodes", nodes, deadline_s=deadline_s),
    ]
    if system.usages is not None:
        usages = system.usages
        sources.append(Source("wn_usage", lambda: usage_metrics(usages()), deadline_s=deadline_s))
    return sources
