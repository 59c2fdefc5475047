"""What a reader makes of a file, and the error that it cannot."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Generic, TypeVar

Content_co = TypeVar("Content_co", covariant=True)


class TraceError(Exception):
    """A trace cannot be used; the text is one sentence that names the file."""


@dataclass(frozen=True, slots=True)
class Trace(Generic[Content_co]):
    """A recorded workload. Its times are seconds since ``start``; ``timezone`` is where its people and machines were.

    ``skipped`` counts the rows that could not be used, by reason; ``notes`` say what was assumed.
    """

    path: Path
    content: Content_co
    start: datetime
    timezone: tzinfo
    skipped: Mapping[str, int]
    notes: tuple[str, ...]

    def remarks(self) -> Iterator[str]:
        """What a reader of the results should know about the whole file, one sentence each."""
        yield from (f"{self.path}: {note}" for note in self.notes)
        yield from (f"{self.path}: {count} rows skipped: {reason}" for reason, count in self.skipped.items())
