"""A file as rows of named columns: SWF, whose columns are given, or CSV, whose first line names them."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import chain
from pathlib import Path

from autoscaler.config.document import did_you_mean
from autoscaler.simulation.traces import swf
from autoscaler.simulation.traces.clock import Clock, clock
from autoscaler.simulation.traces.lines import read_lines
from autoscaler.simulation.traces.trace import TraceError

_MAX_COLUMNS_TOLD = 12
_OTHER_SEPARATORS = (";", "\t", "|", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` are places in a row, by name.

    ``rows`` can be gone through once; ``skipped`` counts what is left out, ``other_queues`` are those not asked for.
    """

    path: Path
    header_line: int
    columns: Mapping[str, int]
    clock: Clock
    rows: Iterator[list[str]]
    skipped: Counter[str]
    other_queues: set[str] = field(default_factory=set)

    @property
    def is_swf(self) -> bool:
        """Whether the columns are those of SWF."""
        return self.columns is swf.COLUMNS

    def column(self, name: str) -> int:
        """Return the place of a column that must be there; raises ``TraceError``."""
        if name not in self.columns:
            there = list(self.columns)
            if len(there) == 1 and (other := next((sign for sign in _OTHER_SEPARATORS if sign in there[0]), None)):
                raise TraceError(
                    f"{self.path}:{self.header_line}: has no column {name!r} in {there[0][:80]!r}: commas "
                    f"separate columns, not {other!r}"
                )
            told = ", ".join(repr(each[:40]) for each in there[:_MAX_COLUMNS_TOLD])
            raise TraceError(
                f"{self.path}:{self.header_line}: has no column {name!r}{did_you_mean(name, there)}; "
                f"the columns that its header names are {told}{', ...' if there[_MAX_COLUMNS_TOLD:] else ''}"
            )
        return self.columns[name]


def open_table(path: Path, *needed: str, timezone: tzinfo | None = None) -> Table:
    """Read comments and header of ``path``, which must have the ``needed`` columns.

    Raises ``TraceError``, and so may going through the rows. ``timezone`` is for a file that does not tell its own.
    """
    lines, semicolons = read_lines(path), False
    comments: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = _text(line).lstrip("\ufeff").strip()
        if text and text[0] not in ";#":
            read = _swf if semicolons or _looks_like_swf(text) else _csv
            table = read(path, number, text, clock(comments, timezone), lines)
            for name in needed:
                table.column(name)
            return table
        semicolons = semicolons or text.startswith(";")
        comments.append(text)
    raise TraceError(f"{path}: has no rows, only comments" if any(comments) else f"{path}: is empty")


def _text(line: bytes) -> str:
    # A user's name in another encoding is still a name, and different bytes stay different names.
    return line.decode("utf-8", "backslashreplace")


def _looks_like_swf(text: str) -> bool:
    try:
        float(text.split(maxsplit=1)[0])
    except ValueError:
        return False
    return "," not in text


def _swf(path: Path, number: int, first: str, its_clock: Clock, lines: Iterable[bytes]) -> Table:
    skipped: Counter[str] = Counter()

    def rows() -> Iterator[list[str]]:
        for line in chain([first.encode()], lines):
            fields = _text(line).split()
            if len(fields) >= swf.WIDTH and fields[0][0] != ";":
                yield fields
            elif fields and fields[0][0] != ";":
                skipped[f"fewer than {swf.WIDTH} columns"] += 1

    return Table(path, number, swf.COLUMNS, its_clock, rows(), skipped)


def _csv(path: Path, number: int, header: str, its_clock: Clock, lines: Iterable[bytes]) -> Table:
    skipped: Counter[str] = Counter()
    names = [name.strip() for name in _fields(header)]
    if not header.replace("\t", "").isprintable():
        raise TraceError(f"{path}: is neither SWF nor CSV, but binary data")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TraceError(f"{path}:{number}: names the column {twice[0][:40]!r} more than once")

    def rows() -> Iterator[list[str]]:
        for line in lines:
            text = _text(line).strip()
            if not text or text[0] == "#":
                continue
            fields = _fields(text)
            if len(fields) == len(names):
                yield fields
            else:
                skipped["not as many columns as the header names"] += 1

    return Table(path, number, {name: place for place, name in enumerate(names)}, its_clock, rows(), skipped)


def _fields(text: str) -> list[str]:
    """The fields of one line; a quote that is not closed spoils its own line and not the rest of the file."""
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text]), [])
    except csv.Error:
        return []
