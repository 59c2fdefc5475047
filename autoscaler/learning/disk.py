"""Files and folders that are there whole or not at all, whatever line a crash hits."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

# Only one writer at a time works in a folder, so what it has begun needs no name of its own.
_BEGUN, _LEAVING, _LOCK = ".begun", ".leaving", ".lock"


@contextmanager
def writing_alone(folder: Path) -> Iterator[None]:
    """Make the folder, wait until nobody else writes into it, and tidy up after a writer that died."""
    folder.mkdir(mode=0o755, exist_ok=True)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it with the process
        for left in (_BEGUN, _LEAVING):
            shutil.rmtree(folder / left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put a file in the place of the one that is there."""
    begun = path.with_name(f".{path.name}.begun")
    with suppress(FileNotFoundError):
        begun.unlink()
    _write(begun, content, mode)
    begun.replace(path)
    _keep(path.parent)


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Put a folder with these files where none is yet."""
    begun = path.with_name(_BEGUN)
    begun.mkdir()
    for name, content in files.items():
        _write(begun / name, content, 0o644)
    _keep(begun)
    begun.rename(path)
    _keep(path.parent)


def remove_folder(path: Path) -> None:
    """Take a folder away; first its name, so that nobody finds half of it."""
    leaving = path.with_name(_LEAVING)
    path.rename(leaving)
    shutil.rmtree(leaving)


def _write(path: Path, content: bytes, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _keep(folder: Path) -> None:
    """Names outlive a power cut only when their folder was written too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
