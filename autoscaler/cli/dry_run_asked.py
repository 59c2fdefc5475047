"""What a dry run was asked for, and the one or two configurations that it looks at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from autoscaler.cli.common import load_config
from autoscaler.config.load import Loaded
from autoscaler.config.policies import policy_text
from autoscaler.config.schema import PrometheusSection, ScrapeSection
from autoscaler.service.models import ActingModel, shelf_beside
from autoscaler.service.review import Side


@dataclass(frozen=True, slots=True)
class Contest:
    """What policies are compared on: scenarios and traces, and who does the work."""

    scenarios: tuple[Path, ...]
    proof_trace: Path | None
    proof_queue: int | None
    wn_trace: Path | None
    xrootd_trace: Path | None
    policies: tuple[str, ...]
    output_file: Path | None
    jobs: int
    dask: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    config_file: Path
    output: str
    since: timedelta | None
    against: Path | None
    limit: int
    contest: Contest


@dataclass(frozen=True, slots=True)
class Configured:
    """One configuration; ``name`` is short, for headings."""

    file: Path
    name: str
    loaded: Loaded

    @property
    def side(self) -> Side:
        """Its hosts, and how it decides: with the model that acts now."""
        config = self.loaded.config
        return Side(config.facility(), ActingModel(shelf_beside(config.controller.store)).given(self.loaded.rules))

    @property
    def policy(self) -> str:
        """Its policy with all parameters."""
        return policy_text(self.loaded.config.policy.name, self.loaded.policy)

    @property
    def hosts(self) -> list[str]:
        """The names of its hosts."""
        return [host.name for host in self.loaded.config.hosts]


def configurations(asked: Asked) -> list[Configured]:
    """The configuration that is asked about, and the one it is held against."""
    if asked.against is not None and asked.against.resolve() == asked.config_file.resolve():
        raise click.UsageError(f"--against {asked.against} is the configuration itself: nothing would differ")
    files = [asked.config_file, *([] if asked.against is None else [asked.against])]
    return [Configured(file, name, load_config(file)) for file, name in zip(files, short_names(files), strict=True)]


def short_names(files: Sequence[Path]) -> list[str]:
    """The files without their folders, unless these are what tells them apart."""
    short = len({file.name for file in files}) == len(files)
    return [file.name if short else str(file) for file in files]


def only_in_one(configured: Sequence[Configured]) -> Iterator[str]:
    """The hosts that are not in all of the configurations, in words."""
    for one in configured:
        for host in one.hosts:
            if any(host not in other.hosts for other in configured):
                yield f"{host} is only in {one.name}"


def shared_source(configured: Sequence[Configured]) -> tuple[PrometheusSection | ScrapeSection, timedelta]:
    """The first one's source with the signals that only others name, and the longest history that a policy needs."""
    source = configured[0].loaded.config.source
    for other in (each.loaded.config.source for each in configured[1:]):
        if other.kind == source.kind:
            source = source.model_copy(update={"signals": {**other.signals, **source.signals}})
    return source, max(each.loaded.history for each in configured)
