"""The end of a log that is rotated, truncated, removed, or written faster than it is read."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.proof.log_tail import MAX_BYTES, LogTail
from tests.exporters.fuzzing import unhurried
from tests.testbed.processes import scratch_folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "xproofd.log"
    log.write_bytes(b"old\n")
    return log


@pytest.fixture
def tail(log: Path) -> Iterator[LogTail]:
    """Give a tail that has read what there was."""
    with closing(LogTail(log)) as tail:
        tail.read()
        yield tail


def append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


def new(tail: LogTail) -> tuple[bytes, bool]:
    piece = tail.read()
    return piece.lines, piece.gapless


def test_the_first_read_gives_what_is_there_without_knowing_what_was_before(log: Path) -> None:
    with closing(LogTail(log)) as tail:
        assert new(tail) == (b"old\n", False)


def test_a_read_gives_what_was_added(log: Path, tail: LogTail) -> None:
    append(log, b"one\ntwo\n")
    assert new(tail) == (b"one\ntwo\n", True)
    assert new(tail) == (b"", True)


def test_the_time_is_that_of_the_file(log: Path, tail: LogTail) -> None:
    os.utime(log, (1, 1_800_000_000))
    assert tail.read().written_at_s == 1_800_000_000


def test_half_a_line_waits_for_its_other_half(log: Path, tail: LogTail) -> None:
    append(log, b"one\ntw")
    assert new(tail) == (b"one\n", True)
    assert new(tail) == (b"", True)
    append(log, b"o\n")
    assert new(tail) == (b"two\n", True)


def test_a_renamed_file_is_read_to_its_end_before_the_new_one(log: Path, tail: LogTail) -> None:
    append(log, b"last\n")
    log.rename(log.with_suffix(".1"))
    append(log.with_suffix(".1"), b"late\n")
    log.write_bytes(b"first\n")
    assert new(tail) == (b"last\nlate\nfirst\n", True)
    append(log, b"second\n")
    assert new(tail) == (b"second\n", True)


def test_a_renamed_file_is_followed_until_the_new_one_has_something(log: Path, tail: LogTail) -> None:
    old = log.rename(log.with_suffix(".1"))
    log.touch()
    for line in (b"one\n", b"two\n"):
        append(old, line)
        assert new(tail) == (line, True)
    append(log, b"three\n")
    assert new(tail) == (b"three\n", True)


def test_a_removed_file_is_followed_until_there_is_a_new_one(log: Path, tail: LogTail) -> None:
    with log.open("ab") as writer:
        log.unlink()
        writer.write(b"one\n")
        writer.flush()
        assert new(tail) == (b"one\n", True)
    append(log, b"two\n")
    assert new(tail) == (b"two\n", True)


def test_a_truncated_file_is_read_from_its_beginning(log: Path, tail: LogTail) -> None:
    append(log, b"one\ntwo\n")
    tail.read()
    os.truncate(log, 0)
    append(log, b"new\n")
    assert new(tail) == (b"new\n", False)
    append(log, b"newer\n")
    assert new(tail) == (b"newer\n", True)


def test_a_file_that_was_truncated_and_is_longer_than_before_is_read_from_its_beginning(
    log: Path, tail: LogTail
) -> None:
    os.truncate(log, 0)
    append(log, b"entirely new\n")
    assert new(tail) == (b"entirely new\n", False)


def test_a_file_whose_writer_goes_on_behind_a_hole_is_read(log: Path, tail: LogTail) -> None:
    with log.open("r+b") as writer:
        writer.seek(4)
        os.truncate(log, 0)
        writer.write(b"one\n")
    assert new(tail) == (b"\0\0\0\0one\n", False)


def test_of_a_long_file_only_whole_lines_of_its_end_are_read_first(log: Path) -> None:
    append(log, b"x" * 99 + b"\n" + b"line\n" * (MAX_BYTES // 5))
    with closing(LogTail(log)) as tail:
        lines, gapless = new(tail)
    assert lines == b"line\n" * (MAX_BYTES // 5)
    assert not gapless


def test_of_a_long_backlog_only_the_end_is_read(log: Path, tail: LogTail) -> None:
    append(log, b"lines\n" * MAX_BYTES + b"last\n")
    lines, gapless = new(tail)
    assert lines.endswith(b"\nlast\n")
    assert MAX_BYTES - 6 <= len(lines) <= MAX_BYTES
    assert not gapless


def test_a_line_longer_than_a_read_is_passed_over(log: Path, tail: LogTail) -> None:
    append(log, b"x" * MAX_BYTES)
    assert new(tail) == (b"", True)
    append(log, b"x" * MAX_BYTES)
    assert new(tail) == (b"", False)
    append(log, b"xxx\nline\n")
    assert new(tail) == (b"line\n", False)
    append(log, b"next\n")
    assert new(tail) == (b"next\n", True)


def test_a_new_file_of_which_only_the_end_is_read_makes_a_gap(log: Path, tail: LogTail) -> None:
    log.unlink()
    append(log, b"line\n" * MAX_BYTES)
    lines, gapless = new(tail)
    assert len(lines) <= MAX_BYTES
    assert not gapless


def test_a_file_that_is_not_there_is_an_error_until_it_comes(tmp_path: Path) -> None:
    with closing(LogTail(tmp_path / "none")) as tail:
        with pytest.raises(FileNotFoundError):
            tail.read()
        (tmp_path / "none").write_bytes(b"one\n")
        assert new(tail) == (b"one\n", False)


def test_a_closed_tail_begins_anew(tail: LogTail) -> None:
    tail.close()
    assert new(tail) == (b"old\n", False)


WRITES = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"\n", b"line\n"]) | st.sampled_from(["rotate", "truncate", "remove"]),
    max_size=20,
)


@unhurried
@given(WRITES, st.integers(1, 5))
def test_whatever_happens_to_the_file_each_piece_is_of_whole_lines(writes: list[bytes | str], every: int) -> None:
    with scratch_folder() as folder, closing(LogTail(folder / "log")) as tail:
        (folder / "log").touch()
        for index, write in enumerate(writes):
            if isinstance(write, bytes):
                append(folder / "log", write)
            elif write == "truncate" and (folder / "log").exists():
                os.truncate(folder / "log", 0)
            elif (folder / "log").exists():
                (folder / "log").rename(folder / "log.1") if write == "rotate" else (folder / "log").unlink()
                if index % 2:
                    (folder / "log").touch()
            if index % every == 0:
                try:
                    lines, _ = new(tail)
                except FileNotFoundError:
                    continue
                assert lines == b"" or lines.endswith(b"\n")
                assert len(lines) <= sum(len(each) for each in writes if isinstance(each, bytes))


@unhurried
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_what_is_only_appended_to_is_read_once_and_whole(writes: list[bytes]) -> None:
    with scratch_folder() as folder, closing(LogTail(folder / "log")) as tail:
        (folder / "log").touch()
        read = b""
        for write in writes:
            append(folder / "log", write)
            read += new(tail)[0]
    written = b"".join(writes)
    assert read == written[: written.rfind(b"\n") + 1]
