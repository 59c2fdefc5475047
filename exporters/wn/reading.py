"""What the readers of batch systems share: how their commands are run, and how the JSON of the commands is decoded."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from exporters.serving import SourceUnavailable
from exporters.subprocesses import run
from exporters.wn.batch import NodeState

T = TypeVar("T")

# The queue of a job that is in none and asks for no certain one; no batch system lets a queue have this name.
NO_QUEUE = "none"

# More cores than any machine has: a larger number is a mistake, not a load.
MOST_CORES = 2**32

# What JSON forbids inside a string; whoever names a job or a group can put it there.
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")

RECORD_NUMBER = re.compile(r"\[[0-9]+\]")
DURATION = re.compile(r"([0-9]{1,7}):([0-9]{2}):([0-9]{2})")
TASK_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10})(?::([0-9]{1,10}))?)?")


@dataclass(frozen=True, slots=True)
class Commands:
    """Where the commands of a batch system are (None: in the PATH), and after how many seconds each is given up."""

    folder: Path | None
    timeout_s: float

    def run(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> bytes:
        """Return what a command prints; raises :class:`SourceUnavailable` if it fails or does not end."""
        path = name if self.folder is None else str(self.folder / name)
        return run([path, *arguments], self.timeout_s, environment)


def decode(command: str, output: bytes, kind: type[T], mend: Callable[[bytes], bytes] | None = None) -> T:
    """Read the JSON that a command printed as a value of ``kind``; raises :class:`SourceUnavailable`.

    Where the output is no JSON as it stands, bytes that are no text are replaced (one user's odd name must not hide
    the jobs of all), and then ``mend`` may repair what a system is known to write wrong. The reason names the field of
    a wrong type by its path, without the number of the record.
    """
    if not output.strip():
        raise SourceUnavailable(f"{command} printed nothing")
    for attempt in (bytes, as_text, mend):
        try:
            return msgspec.json.decode(attempt(output) if attempt else b"", type=kind)
        except msgspec.ValidationError as error:
            where = RECORD_NUMBER.sub("[...]", str(error))
            raise SourceUnavailable(f"{command} printed JSON of another kind than expected: {where}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    raise SourceUnavailable(f"{command} printed something that is not a whole JSON document")


def as_text(output: bytes) -> bytes:
    """Return ``output`` with what is not UTF-8, and control characters, replaced."""
    return CONTROL.sub(b"?", output.decode(errors="replace").encode())


def count_tasks(expression: str) -> int | None:
    """Count the tasks of an array in a list such as "1-4:1" or "2,5,7-9"; None if it is not one."""
    counts = [_count_range(part) for part in expression.split(",")]
    return None if None in counts else sum(count for count in counts if count is not None)


def _count_range(part: str) -> int | None:
    match = TASK_RANGE.fullmatch(part.strip())
    if match is None:
        return None
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    return (last - first) // step + 1 if step > 0 and last >= first else None


def node_state(words: str, usable: frozenset[str], drained: frozenset[str]) -> NodeState:
    """Translate the states of a node of the PBS family, as "offline,down"; one that is not known cannot be used."""
    states = set(re.split(r"\s*,\s*", words.strip()))
    if states <= usable:
        return NodeState.USABLE
    return NodeState.DRAINED if states <= usable | drained else NodeState.DOWN


def duration_s(value: object) -> float | None:
    """Read a duration such as "123:45:06" in seconds; None if it is none."""
    match = DURATION.fullmatch(str(value))
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
