"""Commands that are run, and what becomes of those that do not do as they should."""

import os
from pathlib import Path

import pytest

from exporters.serving import SourceUnavailable
from exporters.subprocesses import MOST_ERRORS_BYTES, run
from tests.testbed.processes import wait_until

DEADLINE_S = 60
HANG_S = 3.0  # long enough for a script to begin


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def script(folder: Path, body: str) -> str:
    file = folder / "ask"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def written(pid_file: Path) -> int:
    return wait_until(lambda: int(pid_file.read_text()), DEADLINE_S, "the child's own words")


def assert_ends(pid_file: Path) -> None:
    stat = Path(f"/proc/{written(pid_file)}/stat")
    wait_until(lambda: not stat.exists() or ") Z " in stat.read_text(), DEADLINE_S, "the end of the child")


def test_what_a_command_prints_is_returned(folder: Path) -> None:
    assert run([script(folder, 'echo "$@"'), "a b", "c"], DEADLINE_S) == b"a b c\n"


def test_a_command_that_prints_nothing_returns_nothing(folder: Path) -> None:
    assert run([script(folder, ":")], DEADLINE_S) == b""


def test_what_is_printed_before_an_end_without_error_is_returned_whole_even_if_half_a_document(folder: Path) -> None:
    assert run([script(folder, "printf '{\"jobs\": ['")], DEADLINE_S) == b'{"jobs": ['


def test_more_than_a_pipe_holds_comes_whole_and_in_order(folder: Path) -> None:
    output = run([script(folder, "seq 1 300000")], DEADLINE_S)
    assert output.split() == [str(number).encode() for number in range(1, 300_001)]


def test_the_environment_comes_on_top_of_the_present_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAF_THERE", "old")
    monkeypatch.setenv("VAF_KEPT", "kept")
    asked = script(folder, 'echo "$VAF_THERE $VAF_KEPT $VAF_NEW"')
    assert run([asked], DEADLINE_S, {"VAF_THERE": "new", "VAF_NEW": "more"}) == b"new kept more\n"


def test_nothing_waits_for_a_command_that_asks_back(folder: Path) -> None:
    assert run([script(folder, "read -r answer; echo $?")], DEADLINE_S) == b"1\n"


def test_warnings_of_a_command_that_succeeds_are_no_failure(folder: Path) -> None:
    assert run([script(folder, "echo warning >&2; echo fine")], DEADLINE_S) == b"fine\n"


def test_a_failure_is_told_in_the_words_of_the_command(folder: Path) -> None:
    asked = script(folder, "echo half; echo 'Invalid\n  credential' >&2; exit 3")
    with pytest.raises(SourceUnavailable, match=r"^ask failed with exit code 3: Invalid credential$"):
        run([asked], DEADLINE_S)


def test_a_failure_without_words_is_told_nevertheless(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"^ask failed with exit code 1: it gave no reason$"):
        run([script(folder, "exit 1")], DEADLINE_S)


def test_the_words_of_a_failure_are_bounded_and_need_not_be_text(folder: Path) -> None:
    asked = script(folder, f"head -c {3 * MOST_ERRORS_BYTES} /dev/zero | tr '\\0' '\\377' >&2; exit 1")
    with pytest.raises(SourceUnavailable, match="failed with exit code 1") as caught:
        run([asked], DEADLINE_S)
    assert len(caught.value.reason) < 500


def test_a_command_that_is_killed_is_told_by_the_signal(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"^ask was ended by signal 9 \(Killed\): it gave no reason$"):
        run([script(folder, "kill -KILL $$")], DEADLINE_S)


def test_a_command_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"cannot run .*/ask: No such file or directory; is it installed\?"):
        run([str(folder / "ask")], DEADLINE_S)


def test_a_file_that_is_not_executable_is_named(folder: Path) -> None:
    (folder / "ask").write_text("#!/bin/sh\n")
    with pytest.raises(SourceUnavailable, match=r"cannot run .*/ask: Permission denied; is it installed\?"):
        run([str(folder / "ask")], DEADLINE_S)


def test_a_hanging_command_is_killed_with_its_children(folder: Path) -> None:
    asked = script(folder, f"sleep 300 & echo $! > {folder}/child; wait")
    with pytest.raises(SourceUnavailable, match=r"^ask gave no answer within 3 s$"):
        run([asked], HANG_S)
    assert_ends(folder / "child")


def test_a_command_that_ignores_sigterm_is_killed(folder: Path) -> None:
    asked = script(folder, f"trap '' TERM; echo $$ > {folder}/self; while :; do sleep 0.1; done")
    with pytest.raises(SourceUnavailable, match="gave no answer"):
        run([asked], HANG_S)
    assert_ends(folder / "self")


def test_a_child_that_keeps_the_output_open_counts_as_no_answer_and_is_killed(folder: Path) -> None:
    asked = script(folder, f"sleep 300 & echo $! > {folder}/child; echo done")
    with pytest.raises(SourceUnavailable, match="gave no answer"):
        run([asked], HANG_S)
    assert_ends(folder / "child")


def test_a_child_that_left_the_group_and_keeps_the_output_open_holds_nobody_up(folder: Path) -> None:
    asked = script(folder, f"setsid sh -c 'echo $$ > {folder}/child; exec sleep 300' & echo done")
    try:
        with pytest.raises(SourceUnavailable, match="gave no answer"):
            run([asked], HANG_S)
    finally:
        os.kill(written(folder / "child"), 9)


def test_a_command_that_closes_its_output_but_does_not_end_is_killed(folder: Path) -> None:
    asked = script(folder, f"echo $$ > {folder}/self; exec >&- 2>&-; exec sleep 300")
    with pytest.raises(SourceUnavailable, match="gave no answer"):
        run([asked], HANG_S)
    assert_ends(folder / "self")


def test_endless_output_is_stopped_at_the_limit(folder: Path) -> None:
    asked = script(folder, f"echo $$ > {folder}/self; exec yes")
    with pytest.raises(SourceUnavailable, match=r"^ask was stopped: it printed more than 3 MiB$"):
        run([asked], DEADLINE_S, most_mib=3)
    assert_ends(folder / "self")


def test_endless_slow_output_is_stopped_after_the_time(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match="gave no answer"):
        run([script(folder, "while :; do echo more; sleep 0.05; done")], HANG_S)


def test_endless_complaints_do_not_fill_the_memory(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match="gave no answer"):
        run([script(folder, "exec yes >&2")], HANG_S)
