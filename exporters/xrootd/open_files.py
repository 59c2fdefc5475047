"""The open files of one xrootd process, for whom they are open, and by how much their bytes have grown."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from exporters.xrootd.fstream import FileMoved, FileNamed, FileOpened, Record, UserLeft, UserNamed

# More than a process may have open, by the usual limit of its file descriptors.
MAX_FILES = 65536
MAX_USERS = 65536

UNKNOWN = "unknown"


class Grown(NamedTuple):
    """By how many bytes one file has grown, and the label it is counted under."""

    label: str
    read_bytes: int
    written_bytes: int


@dataclass(slots=True)
class OpenFile:
    """One open file; ``label`` is None as long as nobody knows it, ``user_id`` 0 if nobody knows that."""

    user_id: int
    label: str | None
    read_bytes: int = 0
    written_bytes: int = 0


class OpenFiles:
    """Follows what one process tells about its files.

    ``by_path`` makes the label of a path; None = the label is the user's login. A file whose open record did not come
    is counted from 0 if its number says that it was opened since the first of them that did (a process numbers users
    and files together, upwards), and otherwise from what its first record says: it may have moved all that long before
    anybody listened, and to add it now would be a jump. Nothing here grows beyond ``MAX_FILES`` and ``MAX_USERS``.
    """

    def __init__(self, by_path: Callable[[str], str] | None) -> None:
        self._by_path = by_path
        self._files: OrderedDict[int, OpenFile] = OrderedDict()
        self._users: OrderedDict[int, str] = OrderedDict()
        self._files_of: dict[int, set[int]] = {}
        self._known_since: int | None = None

    def __len__(self) -> int:
        """Return how many files are open."""
        return len(self._files)

    @property
    def entries(self) -> int:
        """How many files and users are kept in memory."""
        return len(self._files) + len(self._users)

    def take(self, records: tuple[Record, ...], *, late: bool) -> Iterator[Grown]:
        """Take the records of one packet in their order; ``late`` = a packet with later ones has come before.

        What a late packet says of a file that is not known is passed over, as the file may have been closed since.
        """
        for record in records:
            if isinstance(record, FileMoved):
                if grown := self._moved(record, late=late):
                    yield grown
            elif isinstance(record, FileOpened):
                self._opened(record)
            elif isinstance(record, FileNamed):
                self._named(record)
            elif isinstance(record, UserNamed):
                self._logged_in(record)
            elif isinstance(record, UserLeft):
                self._left(record)

    def _logged_in(self, user: UserNamed) -> None:
        self._begins(user.user_id)
        self._users[user.user_id] = user.login
        if len(self._users) > MAX_USERS:
            self._users.popitem(last=False)

    def _left(self, user: UserLeft) -> None:
        self._users.pop(user.user_id, None)
        # What is still open has lost its close record: a server closes all files of a user first.
        for file_id in self._files_of.pop(user.user_id, ()):
            self._give_up(file_id)

    def _opened(self, opened: FileOpened) -> None:
        label = self._by_path(opened.path) if self._by_path and opened.path is not None else None
        self._add(opened.file_id, opened.user_id, label)

    def _named(self, named: FileNamed) -> None:
        self._add(named.file_id, 0, self._by_path(named.path) if self._by_path else named.login)

    def _add(self, file_id: int, user_id: int, label: str | None) -> None:
        self._begins(file_id)
        file = self._files.get(file_id)
        if file is None:
            file = self._keep(file_id, OpenFile(0, None))
        file.label = file.label or label
        if user_id and not file.user_id:
            file.user_id = user_id
            self._files_of.setdefault(user_id, set()).add(file_id)

    def _begins(self, number: int) -> None:
        if self._known_since is None:
            self._known_since = number

    def _keep(self, file_id: int, file: OpenFile) -> OpenFile:
        self._files[file_id] = file
        if len(self._files) > MAX_FILES:
            self._give_up(next(iter(self._files)))
        return file

    def _moved(self, moved: FileMoved, *, late: bool) -> Grown | None:
        file = self._files.get(moved.file_id)
        if file is None:
            if late:
                return None
            file = self._first_sight(moved)
        grown = self._grown(file, moved)
        if moved.closed:
            self._remove(moved.file_id)
        else:
            self._files.move_to_end(moved.file_id)
        return grown

    def _first_sight(self, moved: FileMoved) -> OpenFile:
        if self._known_since is not None and moved.file_id >= self._known_since:
            return self._keep(moved.file_id, OpenFile(0, None))
        return self._keep(moved.file_id, OpenFile(0, None, moved.read_bytes, moved.written_bytes))

    def _grown(self, file: OpenFile, moved: FileMoved) -> Grown | None:
        # A record that was overtaken on its way says less than is known already.
        read = max(0, moved.read_bytes - file.read_bytes)
        written = max(0, moved.written_bytes - file.written_bytes)
        file.read_bytes += read
        file.written_bytes += written
        return Grown(self._label(file), read, written) if read or written else None

    def _label(self, file: OpenFile) -> str:
        if file.label is None and self._by_path is None and file.user_id in self._users:
            self._users.move_to_end(file.user_id)
            file.label = self._users[file.user_id]
        return file.label or UNKNOWN

    def _give_up(self, file_id: int) -> None:
        self._remove(file_id)
        # Should it come again, its bytes have been counted already.
        self._known_since = max(self._known_since or 0, file_id + 1)

    def _remove(self, file_id: int) -> None:
        file = self._files.pop(file_id, None)
        of_user = self._files_of.get(file.user_id) if file else None
        if file and of_user is not None:
            of_user.discard(file_id)
            if not of_user:
                del self._files_of[file.user_id]
