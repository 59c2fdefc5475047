"""The systemd units: systemd understands them, finds them well locked, and their example options are real ones."""

import re
import shlex
import subprocess
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from prometheus_client import ProcessCollector

from autoscaler.cli.common import DEFAULT_CONFIG, EXIT_CONFIG, EXIT_DEGRADED
from autoscaler.config.schema import ControllerSection
from autoscaler.config.units import parse_duration
from autoscaler.service.controller import STOP_GRACE_S

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = sorted(unit.stem.removeprefix("vaf-exporter-") for unit in UNITS.glob("vaf-exporter-*.service"))
SERVICES = sorted(unit.name for unit in UNITS.glob("*.service"))
INSTALLED = "/usr/local/bin/vaf-exporter"

# In tenths, as systemd-analyze wants it; it calls up to 4.9 OK, and an unlocked service has 9.6.
MOST_EXPOSURE = 20

# In comments, too: they are there to be taken over.
OPTIONS = re.compile(r"^#?OPTIONS=(?P<value>.+)$", re.MULTILINE)


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    argv = ["systemd-analyze", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def unit_text(name: str) -> str:
    return (UNITS / f"vaf-exporter-{name}.service").read_text()


def exporter(name: str) -> click.Command:
    (entry,) = entry_points(group="vaf_autoscaler.exporters", name=name)
    command: click.Command = entry.load()
    return command


def example_options() -> list[tuple[str, list[str]]]:
    """Return the arguments of each example, split as systemd splits them, with the exporter they are for."""
    examples = []
    for name in NAMES:
        text = (UNITS / f"vaf-exporter-{name}.default").read_text()
        values = [match["value"] for match in OPTIONS.finditer(text)]
        assert values, name
        for value in values:
            (unquoted,) = shlex.split(value)
            examples.append((name, unquoted.split()))
    return examples


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Give the folder with the units as on a machine where the commands are installed."""
    for name in ("vaf-exporter", "autoscaler"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    for unit in SERVICES:
        text = (UNITS / unit).read_text()
        (tmp_path / unit).write_text(text.replace("=/usr/local/bin/", f"={tmp_path}/"))
    return tmp_path


def test_each_exporter_has_a_unit() -> None:
    assert sorted(entry_points(group="vaf_autoscaler.exporters").names) == NAMES


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_finds_nothing_wrong_with_a_unit(installed: Path, service: str) -> None:
    done = analyze("verify", "--man=no", installed / service)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_would_find_an_unknown_key(installed: Path) -> None:
    unit = installed / "vaf-exporter-wn.service"
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in analyze("verify", "--man=no", unit).stderr


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_finds_a_unit_well_locked(installed: Path, service: str) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", "--no-pager", installed / service)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_runs_its_exporter_with_the_options_of_its_file_and_comes_back(name: str) -> None:
    lines = unit_text(name).splitlines()
    assert f"ExecStart={INSTALLED} {name} $OPTIONS" in lines
    assert f"EnvironmentFile=-/etc/default/vaf-exporter-{name}" in lines
    assert "Restart=always" in lines


@pytest.mark.parametrize(("name", "arguments"), example_options())
def test_the_exporter_accepts_every_example_of_options(name: str, arguments: list[str]) -> None:
    with exporter(name).make_context(name, list(arguments)) as context:
        assert context.args == []


@pytest.mark.parametrize("name", NAMES)
def test_the_options_in_force_say_where_to_read(name: str) -> None:
    text = (UNITS / f"vaf-exporter-{name}.default").read_text()
    assert len(re.findall(r"^OPTIONS=", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("file", sorted(path.name for path in UNITS.iterdir()))
def test_no_line_is_too_long_to_read(file: str) -> None:
    assert [line for line in (UNITS / file).read_text().splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_unit_leaves_proc_stat_without_which_there_are_no_metrics_of_the_process(service: str) -> None:
    assert "ProcSubset=pid" not in (UNITS / service).read_text().splitlines()


def test_without_proc_stat_there_are_no_metrics_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("/proc/self")
    assert not list(ProcessCollector(proc=str(tmp_path), registry=None).collect())
    (tmp_path / "stat").symlink_to("/proc/stat")
    told = {metric.name for metric in ProcessCollector(proc=str(tmp_path), registry=None).collect()}
    assert {"process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds"} <= told


def test_the_exporter_of_proof_sees_the_sessions_of_others() -> None:
    lines = unit_text("proof").splitlines()
    assert {"PrivateTmp=no", "ProtectProc=default", "ProcSubset=all", "PrivateUsers=no"} <= set(lines)
    assert not any(line.startswith("DynamicUser=") for line in lines)


@pytest.mark.parametrize(("sysusers", "service"), [("vaf-exporter", "vaf-exporter-proof"), ("vaf-autoscaler",) * 2])
def test_the_user_of_a_unit_is_made_by_systemd_sysusers(tmp_path: Path, sysusers: str, service: str) -> None:
    (tmp_path / "etc").mkdir()
    argv = ["systemd-sysusers", f"--root={tmp_path}", str(UNITS / f"{sysusers}.sysusers")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (user,) = re.findall(r"^User=(.+)$", (UNITS / f"{service}.service").read_text(), re.MULTILINE)
    assert f"{user}:" in (tmp_path / "etc" / "passwd").read_text()


class TestTheUnitOfTheController:
    """deploy/systemd/vaf-autoscaler.service."""

    lines = (UNITS / "vaf-autoscaler.service").read_text().splitlines()

    def value(self, key: str) -> str:
        (found,) = [line.partition("=")[2] for line in self.lines if line.startswith(f"{key}=")]
        return found

    def test_is_ready_fed_and_reloaded_by_notification(self) -> None:
        assert self.value("Type") == "notify"
        assert self.value("ExecReload") == "/bin/kill -HUP $MAINPID"

    def test_is_fed_for_longer_than_the_way_to_the_safe_split_takes(self) -> None:
        defaults = ControllerSection()
        walk = (defaults.failures_to_safe + 1) * defaults.interval
        assert parse_duration(self.value("WatchdogSec").removesuffix("in")) > 2 * walk

    def test_gives_transfers_their_time_to_end(self) -> None:
        least = timedelta(seconds=STOP_GRACE_S) + ControllerSection().host_timeout
        assert parse_duration(self.value("TimeoutStopSec")) > least

    def test_comes_back_but_not_with_a_configuration_that_cannot_be_used(self) -> None:
        assert self.value("Restart") == "on-failure"
        assert self.value("RestartPreventExitStatus").split() == [str(EXIT_CONFIG), "2"]
        assert self.value("SuccessExitStatus") == str(EXIT_DEGRADED)

    def test_runs_the_command_and_keeps_its_store_where_the_defaults_are(self) -> None:
        assert self.value("ExecStart") == f"/usr/local/bin/autoscaler run --config {DEFAULT_CONFIG}"
        assert ControllerSection().store.parent == Path("/var/lib") / self.value("StateDirectory")
