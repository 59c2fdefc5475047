"""Follows the end of a log file through rotation and truncation, with bounded work at each read."""

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

# What one read reads at most: some 10 000 lines. Of a longer backlog only the end is read.
MAX_BYTES = 1 << 20

# So many bytes in front of the place must be what they were, else the file was truncated and has grown again.
FINGERPRINT_BYTES = 64


@dataclass(frozen=True, slots=True)
class Piece:
    """What a read gives: whole lines, and when the file was last written to, in seconds since the epoch.

    ``gapless`` says that nothing stood between the piece before and this one.
    """

    lines: bytes
    written_at_s: float
    gapless: bool


class LogTail:
    """The end of the log ``path``; what the file had before the first read counts only with its last 1 MiB.

    A file that was renamed or removed is followed to its end until a new one of that name has its first bytes: whoever
    writes the log may still have the old one open. A half line is left for the next read, whatever its length, and
    never kept in memory. Not safe for threads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: FileIO | None = None
        self._place = 0
        self._fingerprint = b""

    def read(self) -> Piece:
        """Return what was added since the last read; raises :class:`OSError`."""
        if self._file is None:
            return self._begin_anew(gapless=False)
        piece = self._rest(self._file, gapless=True)
        if not self._has_successor(self._file):
            return piece
        after = self._begin_anew(gapless=True)
        if not after.gapless:
            return after
        return Piece(piece.lines + after.lines, after.written_at_s, piece.gapless)

    def close(self) -> None:
        """Close the file; the next read begins as the first one did."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _begin_anew(self, *, gapless: bool) -> Piece:
        file = FileIO(self._path)
        self.close()
        self._file, self._place, self._fingerprint = file, 0, b""
        return self._rest(file, gapless=gapless)

    def _has_successor(self, file: FileIO) -> bool:
        old = os.fstat(file.fileno())
        try:
            new = self._path.stat()
        except FileNotFoundError:
            return False
        return (new.st_dev, new.st_ino) != (old.st_dev, old.st_ino) and new.st_size > 0

    def _rest(self, file: FileIO, *, gapless: bool) -> Piece:
        status = os.fstat(file.fileno())
        if os.pread(file.fileno(), len(self._fingerprint), self._place - len(self._fingerprint)) != self._fingerprint:
            self._place, self._fingerprint, gapless = 0, b"", False
        begin = max(self._place, status.st_size - MAX_BYTES)
        data = os.pread(file.fileno(), MAX_BYTES, begin)
        end = data.rfind(b"\n") + 1
        lines = data[:end]
        if begin > self._place:
            # What came before is left out, and so is the rest of the line it was cut in.
            lines, gapless = lines.partition(b"\n")[2], False
        if begin + end > self._place:
            self._place, self._fingerprint = begin + end, data[max(0, end - FINGERPRINT_BYTES) : end]
        return Piece(lines, status.st_mtime, gapless)
