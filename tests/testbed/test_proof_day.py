"""A day of PROOF users, from the daemon's start to its end: at each step the exported numbers are the script's.

Each number comes from the first scrape after the step, of the installed command over HTTP. Hours do not pass, files are
made older.
"""

import json
import queue
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from exporters.proof.sessions import STATES
from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.proof_area import ROOT_5_24, ProofArea, ServerType, Session, Status

MINUTE_S = 60
MAX_USERS = 3
DEADLINE_S = 120


class Day:
    """An admin area and the exporter that reads it."""

    def __init__(self, area: ProofArea, exporter: Exporter) -> None:
        self.area = area
        self.exporter = exporter

    def minutes_later(self, minutes: float) -> None:
        """Let time pass, at the end of which the daemon has asked every session."""
        self.area.let_pass(minutes * MINUTE_S)
        self.area.refresh()

    def exports(
        self, workers: dict[str, int] | None = None, users: dict[str, int] | None = None, **states: int
    ) -> None:
        """Scrape once; sessions in states that are not named are none."""
        seen = self.exporter.scrape()
        assert (seen["proof_up"], seen["proof_xproofd_up"]) == (1, 1)
        assert {state: seen[f"proof_sessions {state}"] for state in STATES} == {s: states.get(s, 0) for s in STATES}
        assert seen["proof_queue_depth"] == states.get("queued", 0)
        in_demand = ("running", "queued", "starting", "unknown")
        assert seen["proof_demand_sessions"] == sum(states.get(state, 0) for state in in_demand)
        assert {s: n for s in STATES if (n := seen[f"proof_workers {s}"])} == (workers or {})
        if users is not None:
            assert users_in(seen) == users

    def is_unknown(self, *, daemon_lives: bool) -> None:
        """Scrape once; no number of sessions may be there."""
        seen = self.exporter.scrape()
        assert (seen["proof_up"], seen["proof_xproofd_up"]) == (0, daemon_lives)
        values = ("proof_sessions", "proof_user", "proof_workers", "proof_queue", "proof_demand")
        assert [name for name in seen if name.startswith(values)] == []


def users_in(seen: Values) -> Values:
    """Return the sessions by "user group state"; an exposition sorts labels by their names."""
    labels = {tuple(name.split(" ")[1:]): n for name, n in seen.items() if name.startswith("proof_user_sessions ")}
    return {f"{user} {group} {state}": n for (group, state, user), n in labels.items()}


@contextmanager
def day_of(area: ProofArea, scratch: Path, *options: object) -> Iterator[Day]:
    words = ("proof", "--admin-path", area.root.parent, "--max-users", MAX_USERS, *options)
    with running_exporter(*words, scratch=scratch) as exporter:
        yield Day(area, exporter)


@pytest.fixture
def day(scratch: Path) -> Iterator[Day]:
    """A facility where two sessions may run queries at once and the others wait."""
    with ProofArea(scratch, mxrun=2) as area, day_of(area, scratch) as day:
        yield day


def comes(day: Day, user: str, group: str) -> Session:
    """Let a user come who has not yet done anything, a while ago."""
    session = day.area.open_session(user, group)
    day.minutes_later(1)
    return session


def test_a_whole_day(day: Day) -> None:
    day.exports(users={})
    ganis = the_first_user_comes(day)
    doe, eve, fred = the_queue_fills(day, ganis)
    one_crashes(day, doe)
    the_daemon_crashes_and_comes_back(day)
    the_daemon_hangs(day)
    many_users_come(day)
    all_leave(day, ganis, eve, fred)


def the_first_user_comes(day: Day) -> Session:
    area = day.area
    ganis = area.begin_session("ganis", "alice")
    day.exports(starting=1, users={"ganis alice starting": 1})
    area.call_back(ganis)
    day.exports(starting=1)  # the daemon has not asked it yet, it may run
    day.minutes_later(1)
    day.exports(idle=1)
    area.submit(ganis)
    day.exports(running=1, users={"ganis alice running": 1})
    return ganis


def the_queue_fills(day: Day, ganis: Session) -> tuple[Session, Session, Session]:
    doe, eve, fred = comes(day, "j.doe", "default"), comes(day, "eve", "cms"), comes(day, "fred", "cms")
    day.exports(running=1, idle=3)
    for session in (doe, eve, fred):
        day.area.submit(session)
    day.exports(running=2, queued=2)
    day.area.finish(ganis)
    day.exports(running=2, queued=1, idle=1)  # first in, first out: eve runs
    assert eve.status_file.read_text() == "1"
    day.area.submit(ganis)
    day.exports(running=2, queued=2)
    eve.status_file.write_text("")  # caught between truncating and writing
    day.exports(running=2, queued=2)
    day.area.set_status(eve, Status.RUNNING)
    return doe, eve, fred


def one_crashes(day: Day, doe: Session) -> None:
    day.area.crash_session(doe)
    day.exports(running=1, queued=2)  # its files are still there
    day.area.sweep()
    day.exports(running=2, queued=1)  # fred runs instead, and the terminated session is none
    doomed = day.area.begin_session("doomed", "default")
    day.area.crash_session(doomed)
    day.exports(running=2, queued=1)  # a start that failed leaves an empty file
    day.area.sweep()


def the_daemon_crashes_and_comes_back(day: Day) -> None:
    day.area.crash_daemon()
    day.is_unknown(daemon_lives=False)
    day.area.start_daemon()
    day.exports(running=2, queued=1)  # the sessions have outlived it
    day.area.leave_behind("ghost", "alice", day.area.daemon.pid, Status.RUNNING)
    day.exports(running=2, queued=1)  # this pid was given out again, to a process that is no proofserv


def the_daemon_hangs(day: Day) -> None:
    day.area.let_pass(6 * MINUTE_S)
    day.is_unknown(daemon_lives=True)
    day.area.refresh()
    day.exports(running=2, queued=1)


def many_users_come(day: Day) -> None:
    crowd = [comes(day, user, "lhcb") for user in ("u1", "u2", "u2", "u2", "u3", "u3")]
    worker = day.area.open_session("ganis", "alice", Status.RUNNING, ServerType.WORKER, ordinal="0.3")
    users = {
        "u2 lhcb idle": 3,
        "u3 lhcb idle": 2,
        "eve cms running": 1,
        "_other _other idle": 1,
        "_other _other running": 1,
        "_other _other queued": 1,
    }
    day.exports(running=2, queued=1, idle=6, workers={"running": 1}, users=users)
    day.area.set_status(crowd[0], Status.IDLE_TIMED_OUT)
    day.exports(running=2, queued=1, idle=5, terminating=1, workers={"running": 1})
    for session in (*crowd, worker):
        day.area.close_session(session)
    day.exports(running=2, queued=1)


def all_leave(day: Day, ganis: Session, eve: Session, fred: Session) -> None:
    day.area.finish(eve)
    day.exports(running=2, idle=1)
    day.area.finish(fred)
    day.area.finish(ganis)
    day.exports(idle=3)
    for session in (ganis, eve, fred):
        day.area.close_session(session)
    day.exports(users={})


def test_a_day_of_root_5_24_which_has_no_status_files(scratch: Path) -> None:
    with ProofArea(scratch, release=ROOT_5_24) as area, day_of(area, scratch) as day:
        ganis = area.begin_session("ganis", "alice")
        day.exports(starting=1)
        area.call_back(ganis)
        day.exports(unknown=1)
        area.let_pass(60 * MINUTE_S)
        day.exports(unknown=1, users={"ganis alice unknown": 1})
        area.open_session("ganis", "alice", server_type=ServerType.WORKER, ordinal="0.1")
        day.exports(unknown=1, workers={"unknown": 1})
        crashed = area.open_session("eve", "cms")
        area.crash_session(crashed)
        day.exports(unknown=1, workers={"unknown": 1})
        area.close_session(ganis)
        day.exports(workers={"unknown": 1})


class Controller:
    """What the exporter has posted, in order."""

    def __init__(self, server: HTTPServer) -> None:
        self._messages: queue.Queue[dict[str, float]] = queue.Queue()
        self.url = server.url_for("/notify")
        server.expect_request("/notify", method="POST").respond_with_handler(self._take)

    def _take(self, request: Request) -> Response:
        self._messages.put(json.loads(request.data))
        return Response()

    def is_told(self, demand: int, queued: int, running: int) -> None:
        """Wait until this is told; what was true in between may be told before."""
        wanted = {"source": "proof", "demand_sessions": demand, "queue_depth": queued, "running_sessions": running}
        while True:
            message = self._messages.get(timeout=DEADLINE_S)
            message.pop("at")
            if message == wanted:
                return


def test_the_controller_is_told_of_a_day_without_any_scrape(scratch: Path, httpserver: HTTPServer) -> None:
    controller = Controller(httpserver)
    with ProofArea(scratch, mxrun=1) as area, day_of(area, scratch, "--notify", controller.url) as day:
        controller.is_told(0, 0, 0)
        ganis = area.begin_session("ganis", "alice")
        controller.is_told(1, 0, 0)
        area.call_back(ganis)
        area.submit(ganis)
        controller.is_told(1, 0, 1)
        eve = area.open_session("eve", "cms")
        area.submit(eve)
        controller.is_told(2, 1, 1)
        area.crash_daemon()
        shutil.rmtree(area.active)
        area.active.mkdir()
        area.sessions.clear()
        area.start_daemon()
        controller.is_told(0, 0, 0)
        area.open_session("fred", "cms", Status.QUEUED)
        controller.is_told(1, 1, 0)
        # The answer to the last one may still be on its way.
        day.exporter.scrape_until(lambda seen: seen["proof_notifications_total"] >= 6, "all notifications")
        httpserver.check_assertions()
