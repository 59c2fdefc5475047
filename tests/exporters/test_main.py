"""The command ``vaf-exporter``: its doors and what it says to wrong input. Run as users run it, as a process."""

import os
import re
import socket
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.exporters.proof.processes import DAEMON, MASTER, running
from tests.exporters.running import EXPORTER

NODE = '{"name": "wn01", "cpus": 2, "state": "idle", "state_flags": []}'
IDLE = f'#!/bin/sh\necho \'{{"errors": [], "jobs": [], "nodes": [{NODE}]}}\'\n'


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [str(word) for word in (EXPORTER, *arguments)]
    return subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def install(folder: Path, entry_points: str) -> None:
    """Make a site's own distribution with these exporters, as pip would lay it down."""
    info = folder / "site_exporters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: site-exporters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[vaf_autoscaler.exporters]\n{entry_points}\n")


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Give the commands of a batch system without jobs."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("squeue", "sinfo"):
        (folder / name).write_text(IDLE)
        (folder / name).chmod(0o755)
    return folder


def test_the_built_in_exporters_are_listed() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert [name for name in ("proof", "wn", "xrootd") if f"\n  {name} " not in done.stdout] == []


def test_the_version_is_that_of_the_package() -> None:
    assert version("vaf-autoscaler") in run("--version").stdout


def test_a_sites_own_exporter_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "site_demo.py").write_text(
        "import click\ncommand = click.Command('demo', callback=lambda: print('hi'))\n"
    )
    install(tmp_path, "demo = site_demo:command")
    assert run("demo", PYTHONPATH=str(tmp_path)).stdout == "hi\n"


def test_a_broken_exporter_is_one_warning_line_and_the_others_are_listed(tmp_path: Path) -> None:
    install(tmp_path, "broken = no_such_module:command")
    done = run("--help", PYTHONPATH=str(tmp_path))
    assert "\n  proof " in done.stdout
    assert done.stderr == (
        "Warning: the exporter 'broken' (no_such_module:command) is left out: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
    )


def test_a_broken_exporter_does_not_touch_another_one_that_runs(tmp_path: Path, commands: Path) -> None:
    install(tmp_path, "broken = no_such_module:command")
    done = run("wn", "--batch", "slurm", "--commands", commands, "--once", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_an_entry_point_that_is_no_command_is_left_out(tmp_path: Path) -> None:
    install(tmp_path, "demo = os:getcwd")
    done = run("demo", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "the exporter 'demo' (os:getcwd) is left out: it is not a click command" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["proof"], "Missing option '--admin-path'."),
        (["wn"], "Missing option '--batch' or '--libvirt'."),
        (["proof", "--process-table", "--notify", "http://x/"], "'--notify' needs '--admin-path'"),
        (["proof", "--admin-path", "/x", "--notify", "ftp://x"], "'ftp://x' is not a URL, for example http://"),
        (["proof", "--admin-path", "/x", "--max-users", "-1"], "-1 is not in the range x>=0."),
        (["wn", "--batch", "lsf"], "'lsf' is not one of 'slurm', 'gridengine', 'htcondor', 'pbs', 'torque'."),
        (["wn", "--batch", "slurm", "--max-nodes", "-1"], "-1 is not in the range x>=0."),
        (["wn", "--batch", "slurm", "--slurmrestd", "here"], "'here' is none of http://HOST:PORT, https://HOST:PORT,"),
        (["wn", "--batch", "slurm", "--slurmrestd-version", "40"], "'40' is not a version such as v0.0.38."),
        (["wn", "--batch", "slurm", "--node-map", "/nonexistent"], "/nonexistent: No such file or directory"),
        (["wn", "--libvirt", "test:///default", "--max-nodes", "3"], "'--max-nodes' needs '--batch'."),
        (["wn", "--batch", "pbs", "--max-domains", "3"], "'--max-domains' needs '--libvirt'."),
        (["wn", "--batch", "slurm", "--slurmrestd-token-file", "/x"], "-token-file' needs '--slurmrestd'."),
        (["xrootd", "--report", "[::]:9931", "--path-depth", "3"], "'--path-depth' needs '--fstream'."),
        (["proof", "--admin-path", "/x", "--tcp-user", "eve"], "'--tcp-user' needs '--tcp'."),
        (["wn", "--batch", "slurm", "--timeout", "0"], "0.0 is not in the range 0<x<=31622400."),
        (["wn", "--batch", "slurm", "--timeout", "nan"], "'nan' is not a number of seconds."),
        (["wn", "--batch", "slurm", "--timeout", "inf"], "inf is not in the range 0<x<=31622400."),
        (["xrootd", "--report", "[::]:9931", "--report-ttl", "nan"], "'nan' is not a number of seconds."),
        (["xrootd", "--report", "[::]:9931", "--report-ttl", "inf"], "inf is not in the range 0<x<=31622400."),
        (["proof", "--admin-path", "/x", "--status-max-age", "nan"], "'nan' is not a number of seconds."),
        (["proof", "--admin-path", "/x", "--status-max-age", "inf"], "inf is not in the range 0<x<=31622400."),
        (["proof", "--admin-path", "/x", "--status-max-age", "0"], "0.0 is not in the range 0<x<=31622400."),
        (["proof", "--admin-path", "/x", "--tcp", "1093"], "'1093' is not ADDR:PORT, for example 127.0.0.1:9611."),
        (["proof", "--admin-path", "/x", "--tcp-user", "a b"], "'a b' is not a user name, or NAME:GROUP."),
        (["xrootd", "--report", "9930"], "'9930' is not ADDR:PORT, for example 127.0.0.1:9611."),
        (["proof", "--admin-path", "/x", "--listen", "here"], "'here' is not ADDR:PORT, for example 127.0.0.1:9611."),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_once_prints_the_metrics_and_exits_0_when_the_source_is_up(commands: Path) -> None:
    done = run("wn", "--batch", "slurm", "--commands", commands, "--once")
    assert done.returncode == 0
    assert 'wn_jobs{state="running"} 0.0' in done.stdout


def test_once_exits_1_when_the_source_is_down() -> None:
    done = run("proof", "--admin-path", "/nonexistent", "--once")
    assert done.returncode == 1
    assert "proof_up 0.0" in done.stdout
    assert "cannot read /nonexistent/.xproofd.1093: No such file or directory; --admin-path" in done.stderr


def test_once_notifies_nobody(tmp_path: Path, httpserver: HTTPServer) -> None:
    done = run("proof", "--admin-path", tmp_path, "--notify", httpserver.url_for("/"), "--once")
    assert done.returncode == 1
    assert "proof_notifications_total" not in done.stdout
    assert httpserver.log == []


def test_a_missing_admin_area_is_unknown_and_says_what_to_do_for_old_root(tmp_path: Path) -> None:
    done = run("proof", "--admin-path", tmp_path, "--once")
    assert done.returncode == 1
    assert "proof_sessions" not in done.stdout
    assert re.search(r"--process-table counts the processes instead|a proofserv that runs here uses", done.stderr)


def test_where_there_is_no_admin_area_processes_are_counted_if_that_is_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, DAEMON, MASTER):
        table = run("proof", "--process-table", "--once")
        fallen_back = run("proof", "--process-table", "--admin-path", tmp_path, "--once")
    for done in (table, fallen_back):
        assert (done.returncode, done.stderr) == (0, "")
        assert re.search(r'proof_sessions{state="unknown"} [1-9]', done.stdout)
        assert "proof_queue_depth" not in done.stdout


def test_an_admin_area_that_is_there_counts_more_than_the_process_table(tmp_path: Path) -> None:
    (tmp_path / ".xproofd.1093").mkdir()
    done = run("proof", "--process-table", "--admin-path", tmp_path, "--once")
    assert done.returncode == 1
    assert "xproofd is not running: there is no" in done.stderr


def test_a_port_in_use_is_a_sentence_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("proof", "--admin-path", "/nonexistent", "--listen", address)
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot listen for HTTP on {address}: Address already in use.\n"


def test_a_report_port_in_use_is_a_sentence_and_exit_code_1() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("xrootd", "--report", address, "--once")
    assert done.returncode == 1
    assert done.stderr == f"Error: cannot listen for UDP reports on {address}: Address already in use.\n"


def test_a_host_that_does_not_exist_is_a_sentence_and_exit_code_1() -> None:
    done = run("proof", "--admin-path", "/nonexistent", "--listen", "no-such-host.invalid:9611")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot listen for HTTP on no-such-host.invalid:9611: ")
    assert "Traceback" not in done.stderr
