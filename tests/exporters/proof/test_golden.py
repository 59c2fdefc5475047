"""The exposition of the PROOF source: over a captured admin area, over one with many users, over the process table."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from exporters.proof.admin_area import AdminArea
from exporters.proof.delivery import Delivery
from exporters.proof.notify import Notifier
from exporters.proof.process_table import ProcessTable
from exporters.serving import Source
from tests.exporters.exposition import NOW, SAMPLES, assert_golden, exposition
from tests.exporters.proof.processes import DAEMON, MASTER, WORKER
from tests.exporters.proof.test_process_table import AProcess

DAEMON_PID = 17945


def made_old(area: Path) -> Path:
    """Make the sessions ten minutes old and their statuses 12 s."""
    for file in (area / "activesessions").iterdir():
        changed_at = NOW - (12 if file.suffix == ".status" else 600)
        os.utime(file, (changed_at, changed_at))
    return area


def source(area: Path, alive: Callable[[int], bool], max_users: int = 100) -> Source:
    reader = AdminArea(area, alive, replaced=lambda *_: False, clock=lambda: NOW, max_users=max_users)
    return Source("proof", reader.read)


def captured(scratch: Path) -> Path:
    shutil.copytree(SAMPLES / "proof", scratch / "proof")
    return made_old(scratch / "proof")


def test_a_live_area(tmp_path: Path) -> None:
    assert_golden("proof", exposition(source(captured(tmp_path), alive=lambda _: True)))


def test_a_daemon_that_is_down(tmp_path: Path) -> None:
    assert_golden("proof_down", exposition(source(captured(tmp_path), alive=lambda pid: pid != DAEMON_PID)))


def test_users_beyond_the_limit(tmp_path: Path) -> None:
    area = captured(tmp_path)
    master = (area / "activesessions" / "nobody.alice.18019").read_text()
    names = ["ganis.alice.1", "ganis.alice.2", "j.doe.default.3", "j.doe.default.4", "eve.cms.5", 'o"k\\e.cms.6']
    for name, status in zip(names, "111304", strict=True):
        (area / "activesessions" / name).write_text(master)
        (area / "activesessions" / f"{name}.status").write_text(status)
    assert_golden("proof_users", exposition(source(made_old(area), alive=lambda _: True, max_users=3)))


def test_the_notifications(tmp_path: Path) -> None:
    notifier = Notifier(AdminArea(tmp_path), Delivery("http://127.0.0.1:9/"))
    assert_golden("proof_notifications", exposition(Source("proof", notifier.beside(list))))


def test_the_process_table() -> None:
    processes = [AProcess(DAEMON, "root"), AProcess(MASTER), AProcess(MASTER, "eve"), AProcess(WORKER)]
    table = ProcessTable(processes=lambda: processes, clock=lambda: NOW)
    assert_golden("proof_process_table", exposition(Source("proof", table.read)))
