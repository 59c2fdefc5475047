"""Sessions and workers in the process table, of ROOT versions without an admin area."""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from exporters.proof.formats import Role
from exporters.proof.process_table import ProcessTable, is_daemon, parse_admin_area, parse_role
from exporters.serving import SourceUnavailable
from tests.exporters.proof.processes import DAEMON, MASTER, WORKER, running

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class AProcess:
    """A process as psutil shows it; ``error`` is raised by the call named ``at``."""

    arguments: Sequence[str]
    user: str = "ganis"
    at: str = ""
    error: psutil.Error | None = None

    def cmdline(self) -> list[str]:
        return list(self._answer("cmdline", self.arguments))

    def username(self) -> str:
        return self._answer("username", self.user)

    def create_time(self) -> float:
        return NOW - 600

    def _answer(self, at, value):
        if self.error is not None and self.at == at:
            raise self.error
        return value


def scrape(*processes: object) -> dict[str, float]:
    """Return the values that are not 0."""
    metrics = ProcessTable(processes=lambda: processes, clock=lambda: NOW).read()
    samples = [sample for metric in metrics for sample in metric.samples]
    return {" ".join([s.name, *(v for v in s.labels.values() if v)]): s.value for s in samples if s.value}


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        (["/usr/local/bin/proofserv.exe", "proofserv", "xpd", "xpdpath:/tmp/.xproofd.1093", "0"], Role.MASTER),
        (["/usr/local/bin/proofserv", "proofserv", "xpd", "1234", "0"], Role.MASTER),
        (["/usr/local/bin/proofserv", "proofslave", "xpd", "1234", "0"], Role.WORKER),
        (["proofserv", "proofslave"], Role.WORKER),
        (["vim", "proofserv"], None),
        (["/bin/sh", "/usr/local/bin/proofserv", "proofserv", "xpd"], None),  # its start script, for an instant
        (["/usr/local/bin/proofserv.exe", "xpd", "proofserv"], None),
        (["/usr/local/bin/proofserv.exe"], None),
        ([], None),
    ],
)
def test_the_second_word_of_a_proofserv_says_what_it_is(arguments: list[str], role: Role | None) -> None:
    assert parse_role(arguments) is role


def test_the_admin_area_is_a_word_of_a_session_from_root_5_22_on() -> None:
    assert parse_admin_area([*MASTER[:3], "xpdpath:/var/proof/.xproofd.1093", "0"]) == "/var/proof/.xproofd.1093"
    assert parse_admin_area(MASTER) is None
    assert parse_admin_area(["vim", "proofserv", "xpdpath:/x"]) is None


@pytest.mark.parametrize(
    ("arguments", "daemon"),
    [
        (["/usr/local/bin/xproofd", "-c", "/etc/xpd.cf"], True),
        (["xrootd", "-c", "/etc/xpd.cf"], True),  # xproofd is its plug-in (xrd.protocol xproofd)
        (["xrootd", "-l", "/var/log/proof.log"], True),
        (["xrootd", "-c", "/etc/xrootd.cf"], False),
        (["/usr/bin/xrootd"], False),
        (["/usr/bin/python3", "xproofd"], False),
        ([], False),
    ],
)
def test_xproofd_is_known_by_its_program(arguments: list[str], daemon: bool) -> None:
    assert is_daemon(arguments) is daemon


def test_sessions_are_of_unknown_state_which_is_demand_and_there_is_no_queue_depth() -> None:
    eve = AProcess(MASTER, user="eve")
    assert scrape(AProcess(DAEMON, "root"), AProcess(MASTER), AProcess(MASTER), eve, AProcess(WORKER)) == {
        "proof_xproofd_up": 1,
        "proof_sessions unknown": 3,
        "proof_demand_sessions": 3,
        "proof_workers unknown": 1,
        "proof_user_sessions eve unknown": 1,
        "proof_user_sessions ganis unknown": 2,
    }


def test_an_idle_facility_has_zeros_but_no_queue_depth() -> None:
    metrics = ProcessTable(processes=lambda: [AProcess(DAEMON)], clock=lambda: NOW).read()
    names = {metric.name for metric in metrics if metric.samples}
    assert names == {"proof_xproofd_up", "proof_sessions", "proof_demand_sessions", "proof_workers"}


def test_without_a_daemon_nothing_is_known_about_sessions() -> None:
    with pytest.raises(SourceUnavailable, match="there is no process xproofd, nor an xrootd with PROOF") as down:
        scrape(AProcess(MASTER))
    assert [(m.name, m.samples[0].value) for m in down.value.known] == [("proof_xproofd_up", 0)]


@pytest.mark.parametrize("error", [psutil.NoSuchProcess(1), psutil.ZombieProcess(1)])
@pytest.mark.parametrize("at", ["cmdline", "username"])
def test_a_process_that_ends_while_it_is_looked_at_is_not_counted(at: str, error: psutil.Error) -> None:
    gone = AProcess(MASTER, at=at, error=error)
    assert scrape(AProcess(DAEMON), gone) == {"proof_xproofd_up": 1}


def test_processes_that_may_not_be_looked_at_are_unknown_and_not_none() -> None:
    hidden = AProcess(MASTER, at="cmdline", error=psutil.AccessDenied(1))
    with pytest.raises(SourceUnavailable, match="run as root, or mount /proc without hidepid"):
        scrape(AProcess(DAEMON), hidden)


def test_real_processes_are_counted_by_their_command_lines_and_owners(tmp_path: Path) -> None:
    with running(tmp_path, DAEMON, MASTER, MASTER, WORKER) as processes:
        counted = scrape(*processes)
    assert counted == {
        "proof_xproofd_up": 1,
        "proof_sessions unknown": 2,
        "proof_demand_sessions": 2,
        "proof_workers unknown": 1,
        f"proof_user_sessions {getpass.getuser()} unknown": 2,
    }
