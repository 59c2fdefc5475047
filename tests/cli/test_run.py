"""`autoscaler run`: the loop over libvirt's test driver and a real exporter."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from autoscaler.contracts import StoreError
from autoscaler.model import Result
from autoscaler.store.records import Record
from autoscaler.store.sql import SqlStore
from tests.cli.site import COMMAND, Site, run_process
from tests.service.grafana_server import TOKEN, grafana
from tests.service.waiting import DEADLINE_S, Gate, wait_until
from tests.testbed.processes import free_port


def records(site: Site) -> list[Record]:
    try:
        store = SqlStore(site.store, read_only=True)
    except StoreError:
        return []
    try:
        return store.history(1000, changes_only=False)
    finally:
        store.close()


@contextmanager
def running(site: Site) -> Iterator[subprocess.Popen[str]]:
    """The installed command in a process of its own, after its first cycle."""
    words = [str(COMMAND), "run", "--config", str(site.config)]
    with (
        (site.folder / "log").open("w") as log,
        subprocess.Popen(words, stderr=log, stdout=log, text=True, cwd=site.folder) as process,
    ):
        try:
            wait_until(lambda: process.poll() is not None or records(site), "the first cycle")
            yield process
        finally:
            process.kill()


def test_users_who_come_make_a_host_grow(site: Site) -> None:
    site.exporter.queued = 1
    assert site.run(cycles=2).exit_code == 0
    (changed,) = [record for record in records(site) if record.decision.transfers]
    assert changed.decision.hosts[0].granted == 4
    assert [outcome.result for outcome in changed.outcomes] == [Result.DONE]


def test_workers_are_spread_over_two_hosts(two_hosts: Site) -> None:
    two_hosts.exporter.queued = 2
    two_hosts.run(cycles=2)
    assert [host.granted for host in records(two_hosts)[0].decision.hosts] == [4, 4]


def test_a_dead_exporter_changes_nothing(site: Site) -> None:
    site.exporter.up = 0
    done = site.run(cycles=2)
    assert done.exit_code == 3
    assert "the last cycle left something out: proof_queued_sessions is unknown" in done.stderr
    assert [record.decision.demand.workers for record in records(site)] == [None, None]
    assert not any(record.decision.transfers for record in records(site))


def test_a_stale_exporter_changes_nothing(site: Site) -> None:
    site.exporter.queued, site.exporter.age_s = 1, 3600
    site.run(cycles=2)
    decided = [record.decision.hosts[0] for record in records(site)]
    assert [[cut.guard for cut in host.cuts] for host in decided] == [["fresh"], ["fresh"]]
    assert all(host.transfer is None for host in decided)


def test_a_host_that_cannot_be_reached_does_not_keep_the_other_from_growing(two_hosts: Site) -> None:
    (two_hosts.folder / "host-1.xml").unlink()
    two_hosts.exporter.queued = 1
    two_hosts.run(cycles=2)
    assert [host.granted for host in records(two_hosts)[0].decision.hosts] == [None, 4]


def test_every_cycle_is_recorded_over_restarts(site: Site) -> None:
    site.run(cycles=2)
    site.run(cycles=3)
    assert [record.number for record in records(site)] == [1, 2, 3, 4, 5]


def test_a_store_in_no_folder_is_exit_code_4(site: Site) -> None:
    site.replace("store: decisions.sqlite", "store: nowhere/decisions.sqlite")
    result = site.run()
    assert result.exit_code == 4
    assert "nowhere/decisions.sqlite cannot be made: no such folder" in result.stderr


def test_a_file_that_is_no_store_is_exit_code_4(site: Site) -> None:
    site.store.write_text("these are not the decisions you are looking for" * 100)
    result = site.run()
    assert result.exit_code == 4
    assert "file is not a database" in result.stderr


def test_cycles_that_fail_are_exit_code_3(site: Site) -> None:
    site.make_empty_store()
    with sqlite3.connect(site.store) as connection:
        connection.execute("DROP TABLE decisions")
    connection.close()
    result = site.run(cycles=2)
    assert result.exit_code == 3
    assert "2 cycles failed" in result.stderr


def test_prometheus_sees_workers_transfers_and_cycles_that_fail(site: Site) -> None:
    address = f"127.0.0.1:{free_port()}"
    site.replace("interval: 100ms,", f'interval: 100ms, metrics_listen: "{address}",')
    site.exporter.queued = 1

    def shown() -> dict[str, float]:
        text = requests.get(f"http://{address}/metrics", timeout=DEADLINE_S).text
        lines = [line for line in text.splitlines() if line.startswith("autoscaler_")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    host = f'host="{site.hosts[0]}"'
    with running(site):
        wait_until(lambda: shown().get(f"autoscaler_observed_workers{{{host}}}") == 4, "the workers")
        seen = shown()
        assert seen[f'autoscaler_transfers_total{{{host},result="done"}}'] == 1
        assert seen['autoscaler_signal_needed{signal="proof_queued_sessions"}'] == 1
        assert seen['autoscaler_cycles_total{result="failed"}'] == 0
        with sqlite3.connect(site.store) as connection:
            connection.execute("DROP TABLE decisions")
        connection.close()
        wait_until(lambda: shown()['autoscaler_cycles_total{result="failed"}'] > 0, "a cycle that fails")


def test_grafana_is_told_what_changes_up_to_the_last_transfer(site: Site) -> None:
    site.exporter.queued = 1
    with grafana() as fake:
        (site.folder / "token").write_text(TOKEN)
        site.replace("hosts:\n", f"grafana: {{url: '{fake.url}', token_file: token}}\nhosts:\n")
        assert site.run(cycles=1).exit_code == 0
    (told,) = fake.annotations.values()
    assert told["tags"] == ["vaf-autoscaler", "grow", "host-1"]
    assert told["timeEnd"] >= told["time"]
    assert "host-1: 0 to 4 workers: grow: 1 queued and 0 running sessions" in told["text"]


def test_a_grafana_that_does_not_answer_keeps_no_cycle_and_no_transfer_waiting(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.exporter.queued = 1
    (site.folder / "token").write_text(TOKEN)
    gate = Gate()
    with grafana() as fake:
        fake.plays(lambda _: gate.pass_through())
        site.replace("hosts:\n", f"grafana: {{url: '{fake.url}', token_file: token}}\nhosts:\n")
        done = site.run(cycles=3)
        gate.open()
    assert done.exit_code == 0
    assert "annotations that Grafana was not told of: 1" in caplog.messages
    assert TOKEN not in caplog.text
    results = [[outcome.result for outcome in record.outcomes] for record in records(site)]
    assert sorted(results) == [[], [], [Result.DONE]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_loop_with_exit_code_0(site: Site, number: signal.Signals) -> None:
    with running(site) as process:
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0


def test_a_second_controller_with_the_same_file_refuses_to_start_and_says_who_uses_it(site: Site) -> None:
    with running(site) as process:
        refused = site.run(cycles=1)
        assert refused.exit_code == 4
        assert f"store {site.store} is in use by process {process.pid}: an SQLite file is for one" in refused.stderr
        assert site.invoke("status").exit_code == 0
        process.kill()
        process.wait(DEADLINE_S)
    assert site.run(cycles=1).exit_code == 0


WITHOUT_PSYCOPG = """
import sys
sys.modules["psycopg"] = None
from autoscaler.cli.main import main
sys.argv = ["autoscaler", "run", "--config", sys.argv[1]]
main()
"""


def test_a_database_without_its_extra_is_one_sentence_and_exit_code_1(site: Site) -> None:
    site.replace("source:", "store: {url: 'postgresql://db.example.org/vaf'}\nsource:")
    words = [sys.executable, "-c", WITHOUT_PSYCOPG, str(site.config)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "store.url needs more packages (no module named psycopg): pip install 'vaf-autoscaler[postgresql]'" in (
        done.stderr
    )


@pytest.mark.parametrize("command", ["run", "status", "history"])
def test_a_database_that_is_not_there_is_exit_code_4_without_a_traceback(site: Site, command: str) -> None:
    site.replace("source:", "store: {url: 'postgresql://127.0.0.1:1/vaf'}\nsource:")
    result = site.invoke(command)
    assert result.exit_code == 4
    assert "store postgresql://127.0.0.1:1/vaf: " in result.stderr
    assert "refused" in result.stderr


def test_the_log_of_a_process_is_in_sentences(site: Site) -> None:
    site.exporter.queued = 1
    with running(site) as process:
        wait_until(lambda: any(record.outcomes for record in records(site)), "an outcome")
        process.terminate()
        process.wait(DEADLINE_S)
    log = (site.folder / "log").read_text()
    assert " INFO host-1: 0 -> 4 workers: grow: 1 queued and 0 running sessions" in log
    assert " INFO host-1: transfer done after " in log
    assert "Traceback" not in log


def test_a_killed_controller_leaves_a_store_that_the_next_one_goes_on_with(site: Site) -> None:
    site.exporter.queued = 1
    with running(site) as process:
        wait_until(lambda: any(record.outcomes for record in records(site)), "an outcome")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(DEADLINE_S)
    done = len(records(site))
    assert site.run(cycles=1).exit_code == 0
    assert len(records(site)) == done + 1


def test_the_installed_command_runs_and_ends(site: Site) -> None:
    done = run_process("run", "--config", site.config, "--cycles", 1, cwd=site.folder)
    assert (done.returncode, done.stdout) == (0, "")
