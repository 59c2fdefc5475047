"""How far a long command is, for whoever waits at a terminal."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, track

T = TypeVar("T")


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a bar and the remaining time on standard error where that is a terminal."""
    console = Console(stderr=True)
    yield from track(items, what, total, console=console, transient=True, disable=not sys.stderr.isatty())


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that is told the share that is done, 0 to 1, and shows it as ``tracked`` does."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)
