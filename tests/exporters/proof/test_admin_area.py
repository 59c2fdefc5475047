"""Sessions of xproofd as its admin area shows them."""

import os
from pathlib import Path

import pytest

from exporters.proof.admin_area import AdminArea
from exporters.proof.formats import Role
from exporters.proof.process_table import admin_areas_in_use
from exporters.proof.sessions import Session
from exporters.serving import SourceUnavailable
from tests.exporters.proof.processes import MASTER, running

NOW = 1_800_000_000.0
DAEMON_PID = 900
LONG_AGO = NOW - 600


class Area:
    """An admin area in a folder; every process is alive except those in ``dead``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dead: set[int] = set()
        (path / "activesessions").mkdir(parents=True)
        (path / "xrootd.pid").write_text(str(DAEMON_PID))
        self.replaced: set[int] = set()
        self.reader = AdminArea(
            path,
            alive=lambda pid: pid not in self.dead,
            replaced=lambda pid, *_: pid in self.replaced,
            clock=lambda: NOW,
        )

    def session(
        self, name: str = "ganis.alice.4711", srvtype: int = 2, status: str | None = "0", begun_at_s: float = LONG_AGO
    ) -> Path:
        pid = name.rsplit(".", 1)[1]
        body = f"ganis alice\n/sock\n{pid} 1 {srvtype}\n0 tag-{pid} \n/log\n36 5.34/30\n"
        file = self.write(name, body, begun_at_s)
        if status is not None:
            self.write(f"{name}.status", status, NOW - 10)
        return file

    def write(self, name: str, content: str, changed_at_s: float = LONG_AGO) -> Path:
        file = self.path / "activesessions" / name
        file.write_text(content)
        os.utime(file, (changed_at_s, changed_at_s))
        return file

    def scrape(self) -> dict[str, float]:
        families = [metric for metric in self.reader.read() if metric.name != "proof_user_sessions"]
        samples = [sample for metric in families for sample in metric.samples]
        return {f"{sample.name} {sample.labels.get('state', '')}".strip(): sample.value for sample in samples}

    def users(self) -> dict[str, float]:
        """Return the sessions by "user group state"."""
        samples = [s for metric in self.reader.read() for s in metric.samples if s.name == "proof_user_sessions"]
        return {" ".join(s.labels[label] for label in ("user", "group", "state")): s.value for s in samples}

    def states(self, metric: str = "proof_sessions") -> dict[str, float]:
        """Return the states that are not 0."""
        return {key.split()[1]: n for key, n in self.scrape().items() if n and key.startswith(f"{metric} ")}


@pytest.fixture
def area(tmp_path: Path) -> Area:
    return Area(tmp_path / ".xproofd.1093")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("0", "idle"),
        ("00", "idle"),
        ("1", "running"),
        ("2", "terminating"),
        ("3", "queued"),
        ("4", "terminating"),
        ("5", "unknown"),
        ("garbage", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_each_status_code_is_a_state(area: Area, status: str | None, state: str) -> None:
    area.session(status=status)
    assert area.states() == {state: 1}


def test_every_state_is_there_when_nobody_is(area: Area) -> None:
    assert area.scrape() == {
        "proof_xproofd_up": 1,
        **{f"proof_sessions {s}": 0 for s in ("idle", "running", "queued", "starting", "terminating", "unknown")},
        "proof_queue_depth": 0,
        "proof_demand_sessions": 0,
        **{f"proof_workers {s}": 0 for s in ("idle", "running", "queued", "starting", "terminating", "unknown")},
    }


def test_an_empty_session_file_is_a_session_that_starts(area: Area) -> None:
    area.write("ganis.alice.4711", "")
    area.write("ganis.alice.4711.status", "0")
    assert area.states() == {"starting": 1}


def test_an_empty_session_file_of_a_dead_process_is_a_failed_start(area: Area) -> None:
    area.write("ganis.alice.4711", "")
    area.dead = {4711}
    assert area.states() == {}


def test_a_new_session_counts_as_starting_until_the_daemon_has_asked_it(area: Area) -> None:
    file = area.session(status="0", begun_at_s=NOW - 29)
    assert area.states() == {"starting": 1}
    os.utime(file, (NOW - 31, NOW - 31))
    assert area.states() == {"idle": 1}


def test_an_idle_that_the_daemon_has_not_yet_asked_for_is_not_believed(area: Area) -> None:
    begun = NOW - 100
    area.session(begun_at_s=begun)
    seen = []
    # A query is submitted after 5 s, and the daemon first asks after 100 s: the file is emptied, then written.
    for after_s, status, written_after_s in [(5, "0", 0), (31, "0", 0), (99, "0", 1), (100, "", 100), (100, "1", 100)]:
        area.reader.clock = lambda now=begun + after_s: now
        area.write("ganis.alice.4711.status", status, begun + written_after_s)
        scraped = area.scrape()
        seen.append((scraped["proof_demand_sessions"], *area.states()))
    assert seen == [(1, "starting")] * 4 + [(1, "running")]


def test_an_idle_that_the_daemon_asked_for_is_believed_after_the_lag(area: Area) -> None:
    area.session(begun_at_s=NOW - 31)
    area.write("ganis.alice.4711.status", "0", NOW - 29)
    assert area.states() == {"idle": 1}


def test_a_session_settles_by_time_only_if_it_was_asked() -> None:
    asked, unasked = (Session("u", "g", Role.MASTER, NOW - 10, 0, status_at_s) for status_at_s in (NOW - 8, NOW - 9))
    assert (asked.settles_at_s(NOW), unasked.settles_at_s(NOW)) == (NOW + 20, None)
    assert (asked.state(NOW + 20), unasked.state(NOW + 20)) == ("idle", "starting")


def test_a_session_from_the_future_is_not_starting_for_ever(area: Area) -> None:
    area.session(status="0", begun_at_s=NOW + 3600)
    assert area.states() == {"idle": 1}


def test_an_empty_status_file_keeps_the_last_value(area: Area) -> None:
    area.session(status="1")
    area.scrape()
    area.write("ganis.alice.4711.status", "", NOW - 1)
    area.scrape()
    assert area.states() == {"running": 1}


def test_a_session_that_went_away_is_forgotten(area: Area) -> None:
    file = area.session(status="1")
    area.scrape()
    file.unlink()
    area.scrape()
    area.session(status="")
    assert area.states() == {"unknown": 1}


def test_a_session_of_a_dead_process_is_ignored(area: Area) -> None:
    area.session(status="1")
    area.dead = {4711}
    assert area.scrape()["proof_demand_sessions"] == 0


def test_a_status_file_without_its_session_is_ignored(area: Area) -> None:
    area.write("ganis.alice.4711.status", "1")
    assert area.states() == {}


def test_a_file_that_vanishes_while_it_is_read_is_skipped(area: Area) -> None:
    area.session(status="1")
    area.session("eve.alice.4712", status="1")

    def alive(pid: int) -> bool:
        if pid == 4712:
            (area.path / "activesessions" / "eve.alice.4712").unlink()
        return True

    area.reader.alive = alive
    assert area.states() == {"running": 1}


def test_demand_is_what_needs_workers_or_may_need_them(area: Area) -> None:
    for pid, status in enumerate(["0", "1", "2", "3", None], start=1):
        area.session(f"u.g.{pid}", status=status)
    area.write("u.g.6", "")
    scraped = area.scrape()
    assert scraped["proof_demand_sessions"] == 4  # running, queued, unknown, starting
    assert scraped["proof_queue_depth"] == 1


def test_workers_are_counted_apart_and_submasters_not_at_all(area: Area) -> None:
    area.session("u.g.1", srvtype=0, status="1")
    area.session("u.g.2", srvtype=1, status="1")
    assert area.states("proof_workers") == {"running": 1}
    assert area.states("proof_sessions") == {}


def test_a_users_sessions_are_counted_by_group_and_state(area: Area) -> None:
    area.session("ganis.alice.1", status="1")
    area.session("ganis.alice.2", status="1")
    area.session("ganis.cms.3", status="0")
    area.session("j.doe.default.4", status="3")
    area.session("worker.alice.5", srvtype=0, status="1")
    assert area.users() == {
        "ganis alice running": 2,
        "ganis cms idle": 1,
        "j.doe default queued": 1,
    }


def test_the_file_name_says_whose_session_it_is_and_not_its_body(area: Area) -> None:
    area.session("eve.cms.4711", status="1")  # the body says ganis alice
    assert area.users() == {"eve cms running": 1}


def test_beyond_the_limit_the_users_with_the_fewest_sessions_are_counted_together(area: Area) -> None:
    for pid, user in enumerate(["b", "b", "b", "c", "c", "d", "a"], start=1):
        area.session(f"{user}.g.{pid}", status="1")
    area.session("d.g.8", status="3")
    area.reader.max_users = 2
    assert area.users() == {"b g running": 3, "c g running": 2, "_other _other running": 2, "_other _other queued": 1}
    assert area.states() == {"running": 7, "queued": 1}


def test_of_users_with_equally_many_sessions_the_first_in_the_alphabet_have_series(area: Area) -> None:
    for pid, user in enumerate("dbca", start=1):
        area.session(f"{user}.g.{pid}", status="1")
    area.reader.max_users = 3
    assert area.users() == {"a g running": 1, "b g running": 1, "c g running": 1, "_other _other running": 1}


def test_a_user_called_as_the_others_are_is_counted_with_them(area: Area) -> None:
    for pid in (1, 2):
        area.session(f"_other._other.{pid}", status="1")
    area.session("ganis.alice.3", status="1")
    area.reader.max_users = 1
    assert area.users() == {"_other _other running": 3}


def test_a_limit_of_no_users_means_no_series_of_users(area: Area) -> None:
    area.session(status="1")
    area.reader.max_users = 0
    assert "proof_user_sessions" not in {metric.name for metric in area.reader.read()}
    assert area.states() == {"running": 1}


def test_terminated_sessions_are_no_sessions(area: Area) -> None:
    (area.path / "terminatedsessions").mkdir()
    (area.path / "terminatedsessions" / "ganis.alice.4711").write_text("ganis alice\n/sock\n4711 1 2\n")
    assert area.scrape()["proof_demand_sessions"] == 0


def test_what_a_session_of_root_5_24_said_at_its_start_is_not_its_state(area: Area) -> None:
    area.write("u.g.1", "u g\n/sock\n1 1 2 0\n0 tag \n/log\n25 5.24/00\n")
    area.write("u.g.2", "u g\n/sock\n2 1 0 1\n0.1 tag \n/log\n25 5.24/00\n")
    assert area.states() == {"unknown": 1}
    assert area.states("proof_workers") == {"unknown": 1}
    assert area.scrape()["proof_demand_sessions"] == 1


def test_a_pid_that_another_program_has_now_is_no_session(area: Area) -> None:
    area.session("u.g.1", status="1")
    area.write("u.g.1.status", "1", NOW - 91)
    area.session("u.g.2", status=None)
    area.replaced = {1, 2}
    assert area.states() == {}


def test_a_session_whose_status_is_fresh_is_not_looked_at_twice(area: Area) -> None:
    area.session("u.g.1", status="1")
    area.write("u.g.1.status", "1", NOW - 90)
    area.replaced = {1}
    assert area.states() == {"running": 1}


def test_a_stale_status_of_a_pid_that_another_program_has_now_does_not_blind_the_exporter(area: Area) -> None:
    area.session("u.g.1", status="1")
    area.write("u.g.1.status", "1", NOW - 3600)
    area.session("u.g.2", status="3")
    area.replaced = {1}
    assert area.states() == {"queued": 1}


def test_a_daemon_whose_pid_another_program_has_now_does_not_run(area: Area) -> None:
    area.replaced = {DAEMON_PID}
    with pytest.raises(SourceUnavailable, match=r"xproofd is not running: pid 900 of .* is another program's") as down:
        area.reader.read()
    assert [(m.name, m.samples[0].value) for m in down.value.known] == [("proof_xproofd_up", 0)]


def test_what_is_no_file_is_no_session(area: Area) -> None:
    (area.path / "activesessions" / "u.g.1").mkdir()
    os.mkfifo(area.path / "activesessions" / "u.g.2")
    (area.path / "activesessions" / "u.g.3").symlink_to("/proc/self/mem")
    assert area.states() == {}


def test_a_named_pipe_for_a_status_does_not_make_the_exporter_wait(area: Area) -> None:
    area.session(status=None)
    pipe = area.path / "activesessions" / "ganis.alice.4711.status"
    os.mkfifo(pipe)
    os.utime(pipe, (NOW, NOW))
    assert area.states() == {"unknown": 1}


def test_a_status_that_cannot_be_read_is_unknown_and_hides_no_other_session(area: Area) -> None:
    area.session(status=None)
    (area.path / "activesessions" / "ganis.alice.4711.status").mkdir()
    area.session("u.g.1", status="1")
    assert area.states() == {"running": 1, "unknown": 1}
    assert area.scrape()["proof_demand_sessions"] == 2


def test_a_folder_with_absurdly_many_files_is_not_read(area: Area, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporters.proof.admin_area.MAX_FILES", 3)
    area.session("u.g.1")
    area.session("u.g.2", status=None)
    assert sum(area.states().values()) == 2
    area.session("u.g.3", status=None)
    with pytest.raises(SourceUnavailable, match="activesessions holds more than 3 files"):
        area.reader.read()


def test_the_status_age_is_that_of_the_oldest_status(area: Area) -> None:
    area.session("u.g.1")
    area.session("u.g.2")
    area.write("u.g.2.status", "0", NOW - 75)
    assert area.scrape()["proof_status_age_seconds"] == 75


def test_one_status_that_nobody_refreshes_is_unknown_which_is_demand(area: Area) -> None:
    area.session("u.g.1", status="0")
    area.session("u.g.2", status="0")
    area.write("u.g.2.status", "0", NOW - 301)
    assert area.states() == {"idle": 1, "unknown": 1}
    assert area.scrape()["proof_demand_sessions"] == 1
    area.write("u.g.2.status", "0", NOW - 1)
    assert area.states() == {"idle": 2}


def test_statuses_that_nobody_refreshes_make_the_source_unavailable(area: Area) -> None:
    for name in ("u.g.1", "u.g.2"):
        area.session(name, begun_at_s=NOW - 3600)
        area.write(f"{name}.status", "0", NOW - 301)
    with pytest.raises(SourceUnavailable, match="the status files have not been refreshed for more than 300 s") as down:
        area.reader.read()
    assert {m.name: m.samples[0].value for m in down.value.known} == {
        "proof_xproofd_up": 1,
        "proof_status_age_seconds": 301,
    }


def test_a_status_of_exactly_the_greatest_age_is_known(area: Area) -> None:
    area.session(status="1")
    area.write("ganis.alice.4711.status", "1", NOW - 300)
    assert area.states() == {"running": 1}


def test_the_greatest_age_of_a_status_can_be_set(area: Area) -> None:
    area.session(status="1")
    area.reader.status_max_age_s = 9
    with pytest.raises(SourceUnavailable, match="have not been refreshed for more than 9 s"):
        area.reader.read()


def test_an_old_status_of_a_worker_is_no_sign_of_a_hanging_daemon(area: Area) -> None:
    area.session("u.g.1", srvtype=0, status="1")
    area.write("u.g.1.status", "1", NOW - 3600)
    assert area.states("proof_workers") == {"running": 1}


def test_an_old_status_of_a_dead_session_is_no_sign_of_a_hanging_daemon(area: Area) -> None:
    area.session()
    area.write("ganis.alice.4711.status", "1", NOW - 3600)
    area.dead = {4711}
    assert area.states() == {}


def test_an_old_session_without_a_status_file_is_not_stale(area: Area) -> None:
    area.session(status=None, begun_at_s=NOW - 86400)
    assert area.states() == {"unknown": 1}


def test_a_dead_daemon_makes_the_source_unavailable_and_says_so(area: Area) -> None:
    area.session(status="1")
    area.dead = {DAEMON_PID}
    with pytest.raises(
        SourceUnavailable, match=r"xproofd is not running: pid 900 of .*xrootd.pid is not alive"
    ) as down:
        area.reader.read()
    assert [(m.name, m.samples[0].value) for m in down.value.known] == [("proof_xproofd_up", 0)]


def test_without_a_pid_file_xproofd_does_not_run(area: Area) -> None:
    (area.path / "xrootd.pid").unlink()
    with pytest.raises(SourceUnavailable, match=r"xproofd is not running: there is no .*xrootd\.pid"):
        area.reader.read()


def test_a_pid_file_without_a_pid_makes_the_source_unavailable(area: Area) -> None:
    (area.path / "xrootd.pid").write_text("")
    with pytest.raises(SourceUnavailable, match=r"xrootd\.pid does not hold a process id"):
        area.reader.read()


def test_a_missing_admin_area_is_named_with_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "vaf" / ".xproofd.1093"
    with pytest.raises(SourceUnavailable, match=f"cannot read {missing}: No such file .* --instance must lead to"):
        AdminArea(missing).read()


def test_the_area_of_a_session_that_runs_is_named_when_another_one_was_given(tmp_path: Path) -> None:
    with running(tmp_path, [*MASTER[:3], f"xpdpath:{tmp_path}/.xproofd.21093", "0"]):
        with pytest.raises(SourceUnavailable) as down:
            AdminArea(tmp_path / ".xproofd.1093").read()
        assert admin_areas_in_use() >= {f"{tmp_path}/.xproofd.21093"}
    assert "; a proofserv that runs here uses " in down.value.reason


def test_an_area_without_sessions_folder_is_named(area: Area) -> None:
    (area.path / "activesessions").rmdir()
    with pytest.raises(SourceUnavailable, match=r"cannot read .*/activesessions: No such file"):
        area.reader.read()


def test_a_session_that_waits_by_the_log_is_in_the_queue_before_its_status_says_so(area: Area) -> None:
    area.session("ganis.alice.4711", status="0")
    area.session("franco.alice.4712", status="3")
    area.reader.waiting = lambda: 2
    scraped = area.scrape()
    assert scraped["proof_queue_depth"] == 2
    assert scraped["proof_demand_sessions"] == 2


@pytest.mark.parametrize("waiting", [None, 0, 1])
def test_a_log_that_says_less_than_the_statuses_takes_nothing_away(area: Area, waiting: int | None) -> None:
    area.session("franco.alice.4712", status="3")
    area.reader.waiting = lambda: waiting
    assert area.scrape()["proof_queue_depth"] == 1


def test_waiting_sessions_that_are_in_demand_already_are_not_counted_twice(area: Area) -> None:
    area.session("ganis.alice.4711", status="1")
    area.reader.waiting = lambda: 3
    scraped = area.scrape()
    assert scraped["proof_queue_depth"] == 3
    assert scraped["proof_demand_sessions"] == 1
