"""The exporter ``wn`` against a real Slurm, scraped over HTTP as Prometheus would."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.running import DEADLINE_S, EXPORTER, Exporter, Values, running_exporter
from tests.testbed.slurm_server import Slurm


@pytest.fixture
def slurm(scratch: Path) -> Iterator[Slurm]:
    with Slurm(scratch, cpus=2) as server:
        yield server


@pytest.fixture
def exporter(scratch: Path, slurm: Slurm) -> Iterator[Exporter]:
    arguments = ("wn", "--batch", "slurm", "--timeout", 6)
    with running_exporter(*arguments, scratch=scratch, env=slurm.environment) as exporter:
        yield exporter


def jobs(values: Values) -> Values:
    return {name.removeprefix("wn_jobs "): value for name, value in values.items() if name.startswith("wn_jobs ")}


@pytest.mark.testbed
def test_jobs_of_a_real_queue_are_counted_by_state(slurm: Slurm, exporter: Exporter) -> None:
    assert jobs(exporter.scrape()) == {"running": 0, "pending": 0, "held": 0, "other": 0}

    slurm.submit()
    slurm.submit()
    slurm.submit()
    slurm.submit("--hold")
    slurm.submit("--array=1-6:2%2")
    expected = {"running": 2, "pending": 1 + 3, "held": 1, "other": 0}  # the node has two CPUs
    values = exporter.scrape_until(lambda seen: jobs(seen) == expected, "the jobs")[-1]
    assert values["wn_cores_allocated"] == 2


@pytest.mark.testbed
def test_a_task_list_longer_than_slurm_prints_by_default_is_counted_whole(slurm: Slurm, exporter: Exporter) -> None:
    tasks = [n * n for n in range(31)]  # no regular step, and 104 characters where Slurm would cut at 64
    slurm.submit("--hold", f"--array={','.join(map(str, tasks))}")
    exporter.scrape_until(lambda seen: jobs(seen)["held"] == len(tasks), "all tasks")


@pytest.mark.testbed
def test_an_outage_of_the_controller_is_unknown_and_never_an_empty_queue(slurm: Slurm, exporter: Exporter) -> None:
    slurm.submit()
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")

    slurm.controller.terminate()
    down = exporter.scrape_until(lambda seen: seen["wn_up"] == 0, "the outage")[-1]
    assert jobs(down) == {}
    assert "wn_cores_allocated" not in down
    assert down["wn_last_success_timestamp_seconds"] > 0
    assert "squeue gave no answer within 6 s" in exporter.process.log_tail()

    slurm.controller.start()
    slurm.wait_for_node()
    back = exporter.scrape_until(lambda seen: seen["wn_up"] == 1, "the end of the outage")[-1]
    assert jobs(back)["running"] == 1
    assert exporter.process.terminate() == 0


@pytest.mark.testbed
def test_once_says_down_even_if_squeue_takes_its_time_and_exits_0(slurm: Slurm) -> None:
    slurm.controller.kill9()
    done = subprocess.run(
        [EXPORTER, "wn", "--batch", "slurm", "--timeout", "60", "--once"],
        env={**os.environ, **slurm.environment},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "squeue reports errors" in done.stderr
    assert "wn_jobs{" not in done.stdout
