"""The admin area is what a real xproofd of ROOT 5.28 and 5.34 was seen to write."""

import os
import re

import pytest

from tests.testbed.proof_area import ProofArea, ServerType, Status

BODY = re.compile(
    r"(?P<user>\S+) (?P<group>\S+)\n"
    r"(?P<socket>/\S+/\.xproofd\.1093/socks/xpd\.1093\.\d+)\n"
    r"(?P<pid>\d+) (?P<id>\d+) (?P<type>\d)\n"
    r"(?P<ordinal>\S+) (?P<tag>\S+) \n"
    r"(?P<log>/\S+\.log)\n"
    r"\d+ 5\.\d\d/\d\d\n"
)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_daemon_has_its_folders_and_a_live_pid(proof_area: ProofArea) -> None:
    folders = {path.name for path in proof_area.root.iterdir() if path.is_dir()}
    assert folders == {"activesessions", "terminatedsessions", "clients", "socks", "rootsysvalidation"}
    pid = (proof_area.root / "xrootd.pid").read_text()
    assert pid == str(int(pid))
    assert alive(int(pid))


def test_a_session_file_has_the_six_lines_of_the_real_one(proof_area: ProofArea) -> None:
    session = proof_area.open_session("ganis", "alice", Status.RUNNING)
    assert session.file.name == f"ganis.alice.{session.pid}"
    body = BODY.fullmatch(session.file.read_text())
    assert body is not None
    assert body.group("user", "group", "pid", "type") == ("ganis", "alice", str(session.pid), "2")
    assert session.file.stat().st_mode & 0o777 == 0o666
    assert alive(session.pid)


def test_a_worker_has_its_ordinal_and_type(proof_area: ProofArea) -> None:
    session = proof_area.open_session("ganis", "alice", server_type=ServerType.WORKER, ordinal="0.3")
    body = BODY.fullmatch(session.file.read_text())
    assert body is not None
    assert body.group("ordinal", "type") == ("0.3", "0")
    assert "/worker-0.3-" in body["log"]


@pytest.mark.parametrize("status", Status)
def test_the_status_is_one_digit_without_line_end(proof_area: ProofArea, status: Status) -> None:
    session = proof_area.open_session("ganis", "alice", status)
    assert session.status_file.read_bytes() == str(int(status)).encode()


def test_a_session_that_starts_is_empty_with_status_zero(proof_area: ProofArea) -> None:
    session = proof_area.begin_session("ganis")
    assert session.file.name.startswith("ganis.default.")
    assert session.file.read_bytes() == b""
    assert session.status_file.read_bytes() == b"0"


def test_a_closed_session_moves_to_the_terminated_ones(proof_area: ProofArea) -> None:
    session = proof_area.open_session("ganis", "alice")
    proof_area.close_session(session)
    assert list(proof_area.active.iterdir()) == []
    assert (proof_area.root / "terminatedsessions" / session.file.name).exists()
    assert not alive(session.pid)


def test_a_crashed_session_leaves_its_files_with_a_dead_pid(proof_area: ProofArea) -> None:
    session = proof_area.open_session("ganis", "alice", Status.RUNNING)
    proof_area.crash_session(session)
    assert session.file.exists()
    assert session.status_file.read_text() == "1"
    assert not alive(session.pid)


def test_a_crashed_daemon_leaves_its_pid_file(proof_area: ProofArea) -> None:
    proof_area.crash_daemon()
    assert not alive(int((proof_area.root / "xrootd.pid").read_text()))


def test_a_refresh_makes_old_states_young_again(proof_area: ProofArea) -> None:
    session = proof_area.open_session("ganis", "alice", Status.QUEUED)
    os.utime(session.status_file, (0, 0))
    proof_area.refresh()
    assert session.status_file.stat().st_mtime > 0
    assert session.status_file.read_text() == "3"


def test_a_client_has_its_slot_number(proof_area: ProofArea) -> None:
    proof_area.connect_client("ganis", "alice")
    folder = proof_area.connect_client("ganis", "alice")
    assert (folder / "cid").read_bytes() == b"2"
    assert folder.parent.name == "ganis.alice"
