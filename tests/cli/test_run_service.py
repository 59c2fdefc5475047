"""`autoscaler run` under systemd: a real process, and a socket in systemd's place."""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import datetime

import pytest

from autoscaler.store.sql import SqlStore
from tests.cli.site import Site
from tests.cli.systemd import Systemd, listening, running, status
from tests.service.waiting import DEADLINE_S


def break_store(site: Site) -> None:
    """Every decision is refused by SQLite from now on, and failures can still be written."""
    with closing(sqlite3.connect(site.store)) as connection, connection:
        connection.execute(
            "CREATE TRIGGER broken BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'no more decisions'); END"
        )


def mend_store(site: Site) -> None:
    with closing(sqlite3.connect(site.store)) as connection, connection:
        connection.execute("DROP TRIGGER broken")


def test_the_service_is_ready_when_its_first_cycle_is_finished(systemd: Systemd) -> None:
    with running(systemd):
        message = systemd.hear("READY=1")
    assert systemd.heard == [message]
    assert {"READY=1", "WATCHDOG=1"} <= set(message)
    assert status(message) == "cycle 1: holding, 0 granted on 0 of 1 hosts; no change yet"


def test_each_finished_cycle_feeds_the_watchdog_and_says_how_things_stand(systemd: Systemd) -> None:
    systemd.site.exporter.queued = 1
    with running(systemd):
        systemd.hear("READY=1")
        message = systemd.hear("WATCHDOG=1")
    assert status(message).startswith("cycle 2: 4 workers wanted, 4 granted on 1 of 1 hosts; last change ")


def test_no_cycle_that_raises_feeds_the_watchdog(systemd: Systemd) -> None:
    with running(systemd):
        systemd.hear("READY=1")
        break_store(systemd.site)
        failed = systemd.hear("STATUS=1 cycles failed")
        systemd.heard.clear()
        systemd.hear("STATUS=5 cycles failed")
        assert not any("WATCHDOG=1" in message for message in [failed, *systemd.heard])


def test_the_status_of_a_failing_service_says_why_and_what_is_done(systemd: Systemd) -> None:
    with running(systemd):
        systemd.hear("READY=1")
        break_store(systemd.site)
        message = systemd.hear("STATUS=2 cycles failed")
    assert "2 cycles failed in a row since " in status(message)
    assert f"store {systemd.site.store}: no more decisions; hosts keep what they have" in status(message)


def test_cycles_that_fail_are_recorded_in_the_store(systemd: Systemd) -> None:
    with running(systemd):
        systemd.hear("READY=1")
        break_store(systemd.site)
        systemd.hear("STATUS=3 cycles failed")
    with closing(SqlStore(systemd.site.store)) as store:
        newest = store.latest()
        assert newest is not None
        failures = store.failures(newest.decision.at)
    assert len(failures) >= 3
    assert "no more decisions" in failures[0].error


def test_a_problem_of_many_cycles_is_logged_once_and_its_end_too(systemd: Systemd) -> None:
    with running(systemd):
        systemd.hear("READY=1")
        break_store(systemd.site)
        systemd.hear("STATUS=4 cycles failed")
        mend_store(systemd.site)
        systemd.hear("WATCHDOG=1")
        systemd.hear("WATCHDOG=1")
    log = (systemd.site.folder / "log").read_text()
    assert log.count("this cycle failed") == 1
    assert "cycles finish again" in log


def test_a_service_that_ends_says_so(systemd: Systemd) -> None:
    with running(systemd) as process:
        systemd.hear("READY=1")
        process.terminate()
        systemd.hear("STOPPING=1")
        assert process.wait(DEADLINE_S) == 0


def test_a_reload_takes_over_other_rules(systemd: Systemd) -> None:
    site = systemd.site
    with running(systemd) as process:
        systemd.hear("READY=1")
        site.replace("threshold, workers_per_session: 4, idle: 5m", "static, workers: 3")
        process.send_signal(signal.SIGHUP)
        reloading = systemd.hear("RELOADING=1")
        assert any(line.startswith("MONOTONIC_USEC=") for line in reloading)
        systemd.hear("READY=1")
        assert ": 3 workers wanted, 3 granted" in status(systemd.hear("WATCHDOG=1"))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("static", "statik", "statik"),
        ("store: decisions.sqlite", "store: other.sqlite", "controller.store cannot change while the controller runs"),
        (
            "source:",
            "store: {url: 'postgresql://db/vaf'}\nsource:",
            "store.url cannot change while the controller runs",
        ),
        ("interval: 100ms", "interval: 1h", "controller.interval cannot change while the controller runs: restart it"),
    ],
)
def test_a_reload_of_a_bad_file_keeps_the_old_configuration_and_says_so(
    systemd: Systemd, before: str, after: str, why: str
) -> None:
    site = systemd.site
    site.replace("threshold, workers_per_session: 4, idle: 5m", "static, workers: 3")
    with running(systemd) as process:
        systemd.hear("READY=1")
        site.replace(before, after)
        process.send_signal(signal.SIGHUP)
        systemd.hear("RELOADING=1")
        assert why in status(systemd.hear("READY=1"))
        later = status(systemd.hear("WATCHDOG=1"))
    assert ": 3 workers wanted" in later
    assert "configuration refused at " in later
    assert "the new configuration is refused, the old one stays in force: " in (site.folder / "log").read_text()


def test_many_reloads_at_once_do_not_stop_the_cycles(systemd: Systemd) -> None:
    with running(systemd) as process:
        systemd.hear("READY=1")
        for _ in range(50):
            process.send_signal(signal.SIGHUP)
        systemd.hear("RELOADING=1")
        systemd.forget()
        systemd.hear("WATCHDOG=1")
        systemd.hear("WATCHDOG=1")


def test_a_change_is_one_line_of_json_with_its_reason(systemd: Systemd) -> None:
    systemd.site.exporter.queued = 1
    with running(systemd, "--log-format", "json"):
        systemd.hear("WATCHDOG=1")
        systemd.hear("WATCHDOG=1")
    lines = [json.loads(line) for line in (systemd.site.folder / "log").read_text().splitlines()]
    (change,) = [line for line in lines if "verb" in line]
    words = change.pop("reason")
    assert words.startswith("grow: 1 queued and 0 running sessions")
    assert datetime.fromisoformat(change.pop("at")).tzinfo is not None
    assert change == {
        "level": "info",
        "message": f"host-1: 0 -> 4 workers: {words}",
        "cycle": 1,
        "host": "host-1",
        "workers_from": 0,
        "workers_to": 4,
        "verb": "grow",
        "cuts": [],
    }


def test_a_host_that_comes_with_a_reload_gets_workers(two_hosts: Site) -> None:
    whole = two_hosts.text
    two_hosts.text = whole[: whole.index("\n  - name: host-2")] + "\n"
    two_hosts.write()
    two_hosts.replace("threshold, workers_per_session: 4, idle: 5m", "static, workers: 12")
    with listening(two_hosts) as systemd, running(systemd) as process:
        systemd.hear("READY=1")
        two_hosts.text = whole
        two_hosts.replace("threshold, workers_per_session: 4, idle: 5m", "static, workers: 12")
        process.send_signal(signal.SIGHUP)
        systemd.hear("RELOADING=1")
        systemd.hear("READY=1")
        assert " of 2 hosts" in status(systemd.hear("WATCHDOG=1"))
