"""How far a long command is: a bar for whoever waits at a terminal, elsewhere a line now and then."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")

# A command that takes less says nothing.
LINE_EVERY_S = 30.0


def tracked(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the items, with a bar and the remaining time on standard error, or lines where that is no terminal."""
    with share_bar(what) as tell:
        for number, item in enumerate(items, start=1):
            yield item
            tell(number / max(number, total))


@contextmanager
def share_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that is told the share that is done, 0 to 1, and shows it as ``tracked`` does."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _lines(what: str) -> Callable[[float], None]:
    told_s = monotonic()

    def tell(share: float) -> None:
        nonlocal told_s
        if monotonic() - told_s >= LINE_EVERY_S:
            told_s = monotonic()
            click.echo(f"{what}: {100 * share:.0f} %", err=True)

    return tell
