"""How far a long command is, for whoever waits at a terminal."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a bar and the remaining time on standard error where that is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, total, console=console, transient=True, disable=not sys.stderr.isatty())
