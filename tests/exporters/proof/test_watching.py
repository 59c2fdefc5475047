"""The kernel tells of what happens in an admin area, wherever it comes from and however it goes."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.events import DirDeletedEvent, DirMovedEvent, FileClosedEvent, FileCreatedEvent

from exporters.proof.watching import AreaWatch

DEADLINE_S = 60
FILE = "ganis.alice.4711"

View = dict[str, str] | None


class Follower:
    """Looks at an area when told to and at no other time, as the promise of the watch wants it."""

    def __init__(self, area: Path) -> None:
        self.sessions = area / "activesessions"
        self.view: View = None
        self.seen = threading.Condition()
        self.told = threading.Event()
        self.closed = False
        self.watch = AreaWatch(area, self.told.set)
        self.thread = threading.Thread(target=self._follow, daemon=True)
        self.thread.start()

    def _follow(self) -> None:
        while not self.closed:
            self.told.clear()
            self.watch.arm()
            with self.seen:
                self.view = self._look()
                self.seen.notify()
            self.told.wait()

    def _look(self) -> View:
        try:
            return {file.name: file.read_text() for file in self.sessions.iterdir()}
        except FileNotFoundError:
            return None

    def sees(self, view: View) -> None:
        """Wait until this is what the follower has seen last."""
        with self.seen:
            assert self.seen.wait_for(lambda: self.view == view, DEADLINE_S), self.view

    def close(self) -> None:
        self.closed = True
        self.told.set()
        self.thread.join()
        self.watch.close()


@pytest.fixture
def area(tmp_path: Path) -> Path:
    area = tmp_path / "admin" / ".xproofd.1093"
    (area / "activesessions").mkdir(parents=True)
    return area


@pytest.fixture
def follower(area: Path) -> Iterator[Follower]:
    follower = Follower(area)
    follower.sees({})
    yield follower
    follower.close()


def test_a_session_that_comes_changes_and_goes_is_told(follower: Follower) -> None:
    file = follower.sessions / FILE
    file.touch()
    follower.sees({FILE: ""})
    file.write_text("1")
    follower.sees({FILE: "1"})
    file.unlink()
    follower.sees({})


def test_a_session_that_is_moved_away_is_told(follower: Follower, tmp_path: Path) -> None:
    (follower.sessions / FILE).touch()
    follower.sees({FILE: ""})
    (follower.sessions / FILE).rename(tmp_path / FILE)
    follower.sees({})


def test_an_area_that_is_made_step_by_step_is_told(follower: Follower, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "admin")
    follower.sees(None)
    for path in (tmp_path / "admin", tmp_path / "admin" / ".xproofd.1093", follower.sessions):
        path.mkdir()
    follower.sees({})
    (follower.sessions / FILE).write_text("1")
    follower.sees({FILE: "1"})


def test_an_area_that_is_removed_and_made_anew_in_one_go_again_and_again_is_told(follower: Follower) -> None:
    for name in map(str, range(20)):
        shutil.rmtree(follower.sessions.parent)
        follower.sessions.mkdir(parents=True)
        (follower.sessions / name).touch()
        follower.sees({name: ""})


def test_an_area_that_is_moved_away_and_back_is_told(follower: Follower, area: Path, tmp_path: Path) -> None:
    area.rename(tmp_path / "elsewhere")
    follower.sees(None)
    (tmp_path / "elsewhere").rename(area)
    follower.sees({})
    (follower.sessions / FILE).write_text("1")
    follower.sees({FILE: "1"})


def test_an_area_behind_a_symbolic_link_is_told(area: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(area.parent)
    follower = Follower(tmp_path / "link" / area.name)
    try:
        follower.sees({})
        (area / "activesessions" / FILE).write_text("1")
        follower.sees({FILE: "1"})
    finally:
        follower.close()


class Told:
    """A watch without a thread, for events that a test makes itself."""

    def __init__(self, area: Path) -> None:
        self.event = threading.Event()
        self.watch = AreaWatch(area, self.event.set)


@pytest.fixture
def told(area: Path) -> Iterator[Told]:
    told = Told(area)
    told.watch.arm()
    yield told
    told.watch.close()


def test_a_pid_file_that_is_written_anew_is_told(told: Told, area: Path) -> None:
    (area / "xrootd.pid").write_text("1")
    assert told.event.wait(DEADLINE_S)


def test_what_goes_on_beside_the_area_is_not_told(told: Told, area: Path) -> None:
    for path in (area.parent / "other", f"{area}0", area.parent.parent / "activesessions"):
        told.watch.dispatch(FileCreatedEvent(os.fspath(path)))
    assert not told.event.is_set()
    told.watch.dispatch(FileClosedEvent(os.fspath(area / "xrootd.pid")))
    assert told.event.is_set()


@pytest.mark.parametrize("kind", [DirDeletedEvent, DirMovedEvent])
def test_a_folder_above_that_goes_is_told(told: Told, area: Path, kind: type[DirDeletedEvent]) -> None:
    told.watch.dispatch(kind(os.fspath(area.parent)))
    assert told.event.is_set()
