"""A shelf is usable whatever line a crash hits, and whoever else writes to it."""

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from autoscaler.learning.card import Card
from autoscaler.learning.shelf import KEPT, ModelError, Shelf
from tests.learning.models import NOW, VERSIONS, a_draft, a_forest

DIED = 9
# What changes a folder goes through one of these.
STEPS = frozenset({"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "fcntl.flock"})

HOUR = timedelta(hours=1)


def add(shelf: Shelf) -> None:
    shelf.add(a_draft(), a_forest(), NOW)


def promote(shelf: Shelf) -> None:
    shelf.promote(2)


def rollback(shelf: Shelf) -> None:
    shelf.rollback()


def reset(shelf: Shelf) -> None:
    shelf.reset()


def exclude(shelf: Shelf) -> None:
    shelf.exclude(NOW, NOW + HOUR)


def a_used_shelf(folder: Path) -> Shelf:
    """Full, so that another model makes one go."""
    shelf = Shelf(folder, VERSIONS)
    for _ in range(3):
        add(shelf)
    shelf.promote(2)
    shelf.promote(3)
    for _ in range(KEPT):
        add(shelf)
    shelf.exclude(NOW - HOUR, NOW)
    return shelf


def dies_at_step(step: int, work: Callable[[Shelf], None], shelf: Shelf) -> bool:
    """Do the work in a process that is gone before this step; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = step

        def hook(event: str, _arguments: object) -> None:
            nonlocal left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os._exit(DIED)

        sys.addaudithook(hook)
        try:
            work(shelf)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == DIED


def seen(shelf: Shelf) -> tuple[object, ...]:
    """All that a reader gets."""
    return shelf.entries(), shelf.trail(), shelf.excluded()


@pytest.mark.parametrize("work", [add, promote, rollback, reset, exclude])
def test_a_crash_between_any_two_steps_leaves_what_was_or_what_was_meant(
    work: Callable[[Shelf], None], tmp_path: Path
) -> None:
    before = a_used_shelf(tmp_path / "before")
    meant = Shelf(tmp_path / "meant", VERSIONS)
    shutil.copytree(before.folder, meant.folder)
    work(meant)
    steps = 0
    while True:
        shelf = Shelf(tmp_path / f"crash-{steps}", VERSIONS)
        shutil.copytree(before.folder, shelf.folder)
        if not dies_at_step(steps, work, shelf):
            break
        entries, trail, excluded = seen(shelf)
        assert all(isinstance(entry, Card) for entry in entries), f"died before step {steps}"
        assert trail in (before.trail(), meant.trail())
        assert excluded in (before.excluded(), meant.excluded())
        if trail.acting is not None:
            shelf.read(trail.acting)
        # The next one finishes what was begun, and leaves nothing behind.
        add(shelf)
        shelf.promote(shelf.entries()[-1].number)
        assert len(shelf.entries()) <= KEPT + 3
        assert not {".begun", ".leaving"} & {each.name for each in shelf.folder.iterdir()}
        steps += 1
    assert steps >= 3
    assert seen(shelf) == seen(meant)


def test_a_crash_before_the_first_model_is_there_leaves_a_shelf_that_can_be_used(tmp_path: Path) -> None:
    steps = 0
    while dies_at_step(steps, add, Shelf(tmp_path / f"crash-{steps}", VERSIONS)):
        shelf = Shelf(tmp_path / f"crash-{steps}", VERSIONS)
        assert all(isinstance(entry, Card) for entry in shelf.entries())
        add(shelf)
        assert all(isinstance(entry, Card) for entry in shelf.entries())
        steps += 1
    assert steps >= 8


def _add_some(folder: Path, count: int) -> None:
    shelf = Shelf(folder, VERSIONS)
    for _ in range(count):
        card = shelf.add(a_draft(), a_forest(), NOW)
        shelf.promote(card.number)


def test_two_writers_and_a_reader_never_meet_half_of_anything(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_some, args=(tmp_path / "models", 12)) for _ in range(2)]
    for writer in writers:
        writer.start()
    shelf = Shelf(tmp_path / "models", VERSIONS)
    looks = 0
    while any(writer.is_alive() for writer in writers):
        acting = shelf.trail().acting
        if acting is not None:
            shelf.read(acting)
            looks += 1
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert looks
    entries = shelf.entries()
    assert all(isinstance(entry, Card) for entry in entries)
    assert max(entry.number for entry in entries) == 24


class ShelfMachine(RuleBasedStateMachine):
    """Any order of commands and mishaps: never another error than a sentence, and what acts is as it was said."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.shelf = Shelf(self.folder, VERSIONS)
        self.acting: int | None = None
        self.harmed: set[int] = set()

    @rule()
    def add(self) -> None:
        add(self.shelf)

    @rule(number=st.integers(0, 15))
    def promote(self, number: int) -> None:
        there = {entry.number for entry in self.shelf.entries() if isinstance(entry, Card)}
        try:
            self.shelf.promote(number)
        except ModelError:
            assert number not in there
        else:
            assert number in there - self.harmed
            self.acting = number

    @rule()
    def rollback(self) -> None:
        try:
            self.acting = self.shelf.rollback().number
        except ModelError:
            return
        assert self.acting not in self.harmed

    @rule()
    def reset(self) -> None:
        self.shelf.reset()
        self.acting = None

    @rule(number=st.integers(1, 15))
    def harm(self, number: int) -> None:
        path = self.folder / f"{number:04d}" / "arrays.npz"
        if path.exists():
            path.write_bytes(b"harmed")
            self.harmed.add(number)

    @invariant()
    def what_acts_is_what_was_said_and_is_there(self) -> None:
        assert self.shelf.trail().acting == self.acting
        if self.acting is not None:
            assert self.acting in {entry.number for entry in self.shelf.entries()}


def test_any_order_of_commands_leaves_a_shelf_that_does_as_it_was_told(tmp_path: Path) -> None:
    machine = type("Machine", (ShelfMachine,), {"folder": tmp_path / "models"})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
