"""The options of ``vaf-exporter wn`` that only Slurm has."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exporters.serving import require
from exporters.wn.slurm_rest import VERSION, RestServer, connection_to


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What was said of Slurm: whether to ask sstat, and where slurmrestd is, None = ask the commands."""

    cpu_efficiency: bool = False
    url: str | None = None
    token_file: Path | None = None
    version: str = "v0.0.38"

    def rest(self, timeout_s: float) -> RestServer | None:
        """Return the slurmrestd to ask."""
        return None if self.url is None else RestServer(self.url, self.version, timeout_s, self.token_file)


NOTHING_SAID = SlurmOptions()


def _url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    try:
        if url is not None:
            connection_to(url, 1)
    except ValueError as error:
        raise click.BadParameter(f"{url!r} is none of http://HOST:PORT, https://HOST:PORT, unix:///PATH.") from error
    return url


def _version(_: click.Context, __: click.Parameter, version: str) -> str:
    if not VERSION.fullmatch(version):
        raise click.BadParameter(f"{version!r} is not a version such as {NOTHING_SAID.version}.")
    return version


OPTIONS = (
    click.option(
        "--cpu-efficiency",
        is_flag=True,
        help="Slurm: also ask sstat for the CPU time of some running jobs; wants root or SlurmUser.",
    ),
    click.option(
        "--slurmrestd",
        "url",
        callback=_url,
        metavar="URL",
        help="Slurm: ask slurmrestd instead of squeue and sinfo: http[s]://HOST:PORT or unix:///PATH.",
    ),
    click.option(
        "--slurmrestd-token-file",
        "token_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Slurm: the token for slurmrestd, as scontrol prints it; read at each scrape.",
    ),
    click.option(
        "--slurmrestd-version",
        "version",
        callback=_version,
        default=NOTHING_SAID.version,
        show_default=True,
        metavar="VERSION",
        help="Slurm: the version of slurmrestd's API.",
    ),
)


def slurm_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of Slurm; it gets them as its argument ``of_slurm``."""

    @functools.wraps(function)
    def command(*, cpu_efficiency: bool, url: str | None, token_file: Path | None, version: str, **others: Any) -> None:
        require("url", "token_file", "version")
        function(of_slurm=SlurmOptions(cpu_efficiency, url, token_file, version), **others)

    decorated: Callable[..., None] = command
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
