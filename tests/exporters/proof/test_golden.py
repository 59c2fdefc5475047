"""The exposition of the PROOF source over a captured admin area."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from exporters.proof.admin_area import AdminArea
from exporters.serving import Source
from tests.exporters.exposition import NOW, SAMPLES, assert_golden, exposition

# The captured master session that is idle, the only one whose state depends on when it began.
IDLE_SESSION = "nobody.alice.18025"
DAEMON_PID = 17945


def proof_area(scratch: Path, alive: Callable[[int], bool]) -> Source:
    """Return the captured admin area as it was: sessions of ten minutes ago, statuses of 12 s ago."""
    shutil.copytree(SAMPLES / "proof", scratch / "proof")
    for file in (scratch / "proof" / "activesessions").iterdir():
        changed_at = NOW - (12 if file.suffix == ".status" else 600)
        os.utime(file, (changed_at, changed_at))
    return Source("proof", AdminArea(scratch / "proof", alive=alive, clock=lambda: NOW).read)


def test_a_live_area(tmp_path: Path) -> None:
    assert_golden("proof", exposition(proof_area(tmp_path, alive=lambda _: True)))


def test_a_daemon_that_is_down(tmp_path: Path) -> None:
    assert_golden("proof_down", exposition(proof_area(tmp_path, alive=lambda pid: pid != DAEMON_PID)))
