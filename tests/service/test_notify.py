"""sd_notify's protocol over a real socket."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.service.notify import tell


@pytest.fixture(params=["path", "abstract"])
def end(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Systemd's end, in a folder or in the abstract name space, which @ stands for."""
    address = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path.name}-notify"
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as end:
        end.bind(address.replace("@", "\0", 1))
        end.settimeout(30)
        yield end


def test_assignments_that_belong_together_are_one_message(end: socket.socket) -> None:
    tell("READY=1", "STATUS=all is well")
    assert end.recv(4096) == b"READY=1\nSTATUS=all is well"


def test_an_error_of_many_lines_cannot_make_an_assignment(end: socket.socket) -> None:
    tell("STATUS=a problem\nWATCHDOG=1")
    assert end.recv(4096) == b"STATUS=a problem WATCHDOG=1"


def test_without_systemd_nothing_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    tell("READY=1")
    assert caplog.messages == []


def test_a_socket_that_is_gone_is_no_error_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    tell("WATCHDOG=1")
    assert "systemd cannot be told WATCHDOG=1" in caplog.text
