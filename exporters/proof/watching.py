"""Being told by the kernel (inotify) when something changes in an admin area, which may come and go as a whole."""

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.api import ObservedWatch
from watchdog.observers.inotify import InotifyObserver

# A file that was written is closed; that it was opened or read is not asked for, since this exporter itself reads.
EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]

# The folder of the sessions, the area around it and the folder in which the area is made and removed; while some of
# them do not exist, as many above those that do.
WATCHED_FOLDERS = 3

Identity = tuple[int, int]


class AreaWatch(FileSystemEventHandler):
    """Calls ``on_change``, from a thread of its own, when a session, a status or the area comes, changes or goes.

    It sees what happens in the folders that were there when :meth:`arm` was last called: that is to be done at first
    and after each change, and before the area is read, so that nothing happens unseen in between.
    """

    def __init__(self, area: Path, on_change: Callable[[], None]) -> None:
        self._area = area
        self._on_change = on_change
        self._observer: InotifyObserver | None = None
        self._armed: dict[str, tuple[Identity | None, ObservedWatch]] = {}
        self._removed: deque[str] = deque()
        self._way: list[str] = []

    def arm(self) -> None:
        """Watch the folders that exist now; raises :class:`OSError` if the kernel refuses or its limits are hit."""
        observer = self._observer = self._observer or _started()
        while (existing := self._existing()) != self._identities():
            for path, identity in self._identities().items():
                if identity is None or identity != existing.get(path):
                    observer.unschedule(self._armed.pop(path)[1])
            for path in existing.keys() - self._armed.keys():
                # Gone again: the next look at what exists will say so.
                with suppress(FileNotFoundError):
                    self._armed[path] = existing[path], observer.schedule(self, path, event_filter=EVENTS)

    def close(self) -> None:
        """Watch nothing any more."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def dispatch(self, event: FileSystemEvent) -> None:
        """Take an event from watchdog; what goes on beside the area does not matter."""
        paths = {os.fsdecode(event.src_path), os.fsdecode(event.dest_path)}
        if isinstance(event, DirDeletedEvent | FileDeletedEvent | DirMovedEvent):
            self._removed.extend(paths.intersection(self._way))
        area = self._way[-2] + os.sep
        if any(path in self._way or path.startswith(area) for path in paths):
            self._on_change()

    def _identities(self) -> dict[str, Identity | None]:
        """Return what is watched; None for a folder that was removed.

        One made anew under the old name has no watch, and the kernel may even give it the old one's inode.
        """
        removed = {self._removed.popleft() for _ in range(len(self._removed))}
        for path in removed & self._armed.keys():
            self._armed[path] = None, self._armed[path][1]
        return {path: identity for path, (identity, _) in self._armed.items()}

    def _existing(self) -> dict[str, Identity | None]:
        area = self._area.resolve()
        self._way = [*map(str, reversed(area.parents)), str(area), str(area / "activesessions")]
        found: dict[str, Identity | None] = {}
        for path in self._way:
            try:
                status = os.stat(path)  # noqa: PTH116 - watchdog speaks in strings
            except (FileNotFoundError, NotADirectoryError):
                break
            found[path] = (status.st_dev, status.st_ino)
        return dict(list(found.items())[-WATCHED_FOLDERS:])


def _started() -> InotifyObserver:
    observer = InotifyObserver()
    observer.start()
    return observer
