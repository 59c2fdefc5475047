"""Changes of demand are told to a real HTTP server as soon as the files change."""

import json
import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from exporters.proof.admin_area import AdminArea
from exporters.proof.delivery import Delivery
from exporters.proof.notify import Notifier
from exporters.proof.sessions import STATUS_LAG_S
from exporters.serving import Source
from tests.exporters.exposition import exposition
from tests.testbed.processes import wait_until

DEADLINE_S = 60
LONG_AGO_S = 600


class Site:
    """An admin area, a notifier that watches it, and a server that it tells; every process is alive."""

    def __init__(self, path: Path, server: HTTPServer) -> None:
        self.path = path / ".xproofd.1093"
        self.area = AdminArea(self.path, alive=lambda _: True, replaced=lambda *_: False)
        self.delivery = Delivery(server.url_for("/"), retry_after_s=(0.05,))
        self.notifier = Notifier(self.area, self.delivery)
        self.messages: queue.Queue[dict[str, float]] = queue.Queue()
        self.refuse = threading.Event()
        server.expect_request("/", method="POST").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        if self.refuse.is_set():
            return Response(status=503)
        self.messages.put(json.loads(request.data))
        return Response()

    def make_area(self) -> None:
        (self.path / "activesessions").mkdir(parents=True)
        (self.path / "xrootd.pid").write_text("900")

    def session(self, pid: int, status: str, begun_ago_s: float = LONG_AGO_S) -> Path:
        """Make a session as one that has been there for a while: its file appears complete."""
        file = self.path / "activesessions" / f"ganis.alice.{pid}"
        self.set_status(pid, status)
        made = self.path / "made"
        made.write_text(f"ganis alice\n/sock\n{pid} 1 2\n0 tag \n/log\n36 5.34/30\n")
        begun = time.time() - begun_ago_s
        os.utime(made, (begun, begun))
        made.rename(file)
        return file

    def set_status(self, pid: int, status: str) -> None:
        (self.path / "activesessions" / f"ganis.alice.{pid}.status").write_text(status)

    def told(self) -> tuple[float, float, float]:
        """Wait for the next message; return its demand, queue depth and running sessions."""
        message = self.messages.get(timeout=DEADLINE_S)
        assert message["source"] == "proof"
        assert abs(message["at"] - time.time()) < DEADLINE_S
        assert len(message) == 5
        return message["demand_sessions"], message["queue_depth"], message["running_sessions"]


@pytest.fixture
def site(tmp_path: Path, httpserver: HTTPServer) -> Iterator[Site]:
    site = Site(tmp_path, httpserver)
    yield site
    site.notifier.close()
    httpserver.check_assertions()


def test_the_state_at_the_start_and_each_change_are_told(site: Site) -> None:
    site.make_area()
    site.session(1, "1")
    site.notifier.start()
    assert site.told() == (1, 0, 1)
    site.session(2, "3")
    assert site.told() == (2, 1, 1)
    site.set_status(2, "1")
    assert site.told() == (2, 0, 2)
    (site.path / "activesessions" / "ganis.alice.1").unlink()
    assert site.told() == (1, 0, 1)


def test_a_session_is_told_while_its_file_is_still_empty(site: Site) -> None:
    site.make_area()
    site.notifier.start()
    assert site.told() == (0, 0, 0)
    (site.path / "activesessions" / "ganis.alice.1").touch()
    assert site.told() == (1, 0, 0)


def test_a_session_that_ends_is_told_when_it_moves_to_the_terminated_ones(site: Site) -> None:
    site.make_area()
    file = site.session(1, "1")
    site.notifier.start()
    assert site.told() == (1, 0, 1)
    file.rename(site.path / file.name)
    assert site.told() == (0, 0, 0)


def test_what_is_unknown_is_not_told_as_zero(site: Site) -> None:
    site.notifier.start()
    (site.path / "activesessions").mkdir(parents=True)
    site.session(1, "1")
    (site.path / "xrootd.pid").write_text("")
    (site.path / "xrootd.pid").write_text("900")
    assert site.told() == (1, 0, 1)


def test_an_area_that_comes_goes_and_comes_again_is_told_of(site: Site) -> None:
    site.notifier.start()
    site.make_area()
    assert site.told() == (0, 0, 0)
    site.session(1, "1")
    assert site.told() == (1, 0, 1)
    shutil.rmtree(site.path)
    site.make_area()
    assert site.told() == (0, 0, 0)
    site.session(2, "3")
    assert site.told() == (1, 1, 0)


def test_a_status_that_is_refreshed_without_a_change_is_not_told(site: Site) -> None:
    site.make_area()
    site.session(1, "1")
    site.notifier.start()
    assert site.told() == (1, 0, 1)
    for _ in range(5):
        site.set_status(1, "1")
    site.set_status(1, "0")
    assert site.told() == (0, 0, 0)
    assert site.messages.empty()


def test_a_session_that_becomes_idle_by_time_alone_is_told(site: Site) -> None:
    site.make_area()
    file = site.session(1, "0", begun_ago_s=20)
    settles_at_s = file.stat().st_mtime + STATUS_LAG_S
    now = [settles_at_s - 0.05]
    site.area.clock = lambda: now[0]
    site.notifier.start()
    assert site.told() == (1, 0, 0)
    now[0] = settles_at_s
    assert site.told() == (0, 0, 0)


def test_after_an_outage_of_the_controller_only_the_newest_state_is_told(site: Site) -> None:
    site.make_area()
    site.refuse.set()
    site.session(1, "1")
    site.notifier.start()
    wait_until(lambda: site.delivery.failed > 1, DEADLINE_S, "the delivery")
    site.session(2, "3")
    site.session(3, "3")
    failed = site.delivery.failed
    wait_until(lambda: site.delivery.failed > failed + 1, DEADLINE_S, "the delivery")
    site.refuse.clear()
    assert site.told() == (3, 2, 1)
    wait_until(lambda: site.delivery.delivered == 1, DEADLINE_S, "the delivery")
    assert site.messages.empty()


def test_a_controller_that_hangs_does_not_hold_a_scrape(site: Site, httpserver: HTTPServer) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hang(_: Request) -> Response:
        asked.set()
        assert answer.wait(DEADLINE_S)
        return Response()

    httpserver.clear()
    httpserver.expect_request("/").respond_with_handler(hang)
    site.make_area()
    site.session(1, "1")
    site.notifier.start()
    assert asked.wait(DEADLINE_S)
    text = exposition(Source("proof", site.notifier.beside(site.area.read)))
    answer.set()
    assert 'proof_sessions{state="running"} 1.0' in text


def test_what_was_told_and_what_failed_is_counted_also_while_the_source_is_down(site: Site) -> None:
    site.make_area()
    site.refuse.set()
    site.notifier.start()
    wait_until(lambda: site.delivery.failed > 0, DEADLINE_S, "the delivery")
    site.refuse.clear()
    assert site.told() == (0, 0, 0)
    wait_until(lambda: site.delivery.delivered == 1, DEADLINE_S, "the delivery")
    read = site.notifier.beside(site.area.read)
    while_up = exposition(Source("proof", read))
    shutil.rmtree(site.path)
    while_down = exposition(Source("proof", read))
    assert ("proof_up 1.0" in while_up, "proof_up 0.0" in while_down) == (True, True)
    for text in (while_up, while_down):
        assert "proof_notifications_total 1.0" in text
        assert f"proof_notification_failures_total {float(site.delivery.failed)}" in text


def test_a_watch_that_is_refused_is_said_once_and_the_state_is_told_nevertheless(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = threading.Semaphore(0)

    def refuse() -> None:
        refused.release()
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("exporters.proof.notify.TRY_AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(site.notifier._watch, "arm", refuse)
    site.make_area()
    site.notifier.start()
    assert site.told() == (0, 0, 0)
    for _ in range(3):
        assert refused.acquire(timeout=DEADLINE_S)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("exporters.")] == [
        f"proof: cannot watch {site.path}: inotify watch limit reached; --notify tells of changes late"
    ]


def test_an_error_that_nobody_thought_of_does_not_end_the_notifier(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("exporters.proof.notify.TRY_AGAIN_AFTER_S", 0.05)
    answers = iter([ZeroDivisionError("no clock"), ZeroDivisionError("no clock")])
    monkeypatch.setattr(site.area, "replaced", lambda *_: _raise_next(answers))
    site.make_area()
    site.notifier.start()
    assert site.told() == (0, 0, 0)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("exporters.")]
    assert said == ["proof: unexpected ZeroDivisionError: no clock; --notify tells of changes late"]


def _raise_next(errors: Iterator[Exception]) -> bool:
    for error in errors:
        raise error
    return False
