"""The whole exposition of each exporter over captured samples, as text, and Prometheus' own opinion of it.

After a wanted change: ``VAF_REGENERATE_GOLDEN=1 pytest tests/exporters/test_golden.py``, then read the diff.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from exporters.proof import AdminArea
from exporters.serving import Address, Source, SourceCollector
from exporters.wn import job_metrics, parse_squeue
from exporters.xrootd import Receiver

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
GOLDEN = HERE / "golden"
NOW = 1_795_347_500.0

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


def proof(scratch: Path) -> Source:
    return proof_area(scratch, alive=lambda _: True)


def proof_down(scratch: Path) -> Source:
    return proof_area(scratch, alive=lambda pid: pid != DAEMON_PID)


def squeue(name: str) -> Source:
    def read() -> Iterable[Metric]:
        return job_metrics(parse_squeue((SAMPLES / "slurm" / name).read_bytes()))

    return Source("wn", read)


def wn(_: Path) -> Source:
    return squeue("squeue.json")


def wn_down(_: Path) -> Source:
    return squeue("squeue-ctld-down.json")


def reports(*files: Path) -> Source:
    with Receiver(Address("127.0.0.1", 0), ttl_s=90, clock=lambda: NOW - 4) as receiver:
        for file in files:
            receiver.take(file.read_bytes())
    receiver._clock = lambda: NOW
    return Source("xrootd", receiver.read, receiver.newest)


def xrootd(_: Path) -> Source:
    return reports(*sorted((SAMPLES / "xrootd").glob("*.xml")))


def xrootd_down(_: Path) -> Source:
    return reports()


ALL = [proof, proof_down, wn, wn_down, xrootd, xrootd_down]


def exposition(source: Source) -> str:
    registry = CollectorRegistry()
    ticks = iter((0.0, 0.125))
    registry.register(SourceCollector(source, clock=lambda: NOW, timer=lambda: next(ticks)))
    return generate_latest(registry).decode()


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_the_exposition_is_the_golden_one(make: Callable[[Path], Source], tmp_path: Path) -> None:
    golden = GOLDEN / f"{make.__name__}.prom"
    text = exposition(make(tmp_path))
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_promtool_finds_nothing_to_say(make: Callable[[Path], Source], tmp_path: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition(make(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
