"""The options of the detailed monitoring, and its reception while an exporter serves."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from exporters.serving import Address, parse_address, require
from exporters.xrootd.file_counters import Labels
from exporters.xrootd.file_traffic import FileTraffic
from exporters.xrootd.udp import receiving


@dataclass(frozen=True, slots=True)
class Fstream:
    """Where the servers send their detailed monitoring, and what it is counted by."""

    address: Address
    labels: Labels


def fstream_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the detailed monitoring; it gets them as its argument ``fstream``, None = off."""
    options = [
        click.option(
            "--fstream",
            "address",
            type=parse_address,
            metavar="ADDR:PORT",
            help="Where the servers send their detailed monitoring (UDP), for the bytes by user or path.",
        ),
        click.option(
            "--fstream-by",
            "by",
            type=click.Choice(["user", "path"]),
            default="user",
            show_default=True,
            help="Count the detailed bytes by the client's login name, or by the first folders of the path.",
        ),
        click.option(
            "--path-depth",
            type=click.IntRange(1, 16),
            default=2,
            show_default=True,
            metavar="FOLDERS",
            help="With --fstream-by path: how many folders.",
        ),
        click.option(
            "--max-series",
            type=click.IntRange(1, 100_000),
            default=500,
            show_default=True,
            metavar="NUMBER",
            help="At most so many users or paths of all servers get counters of their own; the rest is '_other'.",
        ),
    ]

    @functools.wraps(function)
    def command(*, address: Address | None, by: str, path_depth: int, max_series: int, **others: Any) -> None:
        require("address", "by", "path_depth", "max_series")
        fstream = Fstream(address, Labels(by, path_depth, max_series)) if address else None
        function(fstream=fstream, **others)

    decorated: Callable[..., None] = command
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


@contextmanager
def following(fstream: Fstream, ttl_s: float) -> Iterator[FileTraffic]:
    """Follow the detailed monitoring in a thread; raises :class:`click.ClickException` if its address cannot be bound.

    A server silent for ``ttl_s`` seconds is left out.
    """
    traffic = FileTraffic(fstream.address, ttl_s, fstream.labels)
    with receiving("UDP detailed monitoring", fstream.address, traffic.take):
        yield traffic
