"""The lines of a file, plain or gzip; which of both, its content says and not its name."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from autoscaler.simulation.traces.trace import TraceError

_GZIP = b"\x1f\x8b"


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield each line; raises ``TraceError``, also in the middle of the lines where a gzip is torn or damaged."""
    try:
        with path.open("rb") as file:
            packed = file.peek(len(_GZIP)).startswith(_GZIP)
            yield from gzip.GzipFile(fileobj=file) if packed else file
    except EOFError:
        raise TraceError(
            f"{path}: is torn: the compressed data ends too early; copy it again, or save what is there with zcat"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise TraceError(f"{path}: its compressed data is damaged ({error}); copy it again") from None
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
