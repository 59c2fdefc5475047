"""The exporter ``wn`` against a real Grid Engine, scraped over HTTP as Prometheus would."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.running import Exporter, Values, running_exporter
from tests.testbed.gridengine_server import GridEngine

# Bounded, as the busy job of a test run that was killed runs on.
BUSY = ("timeout", "300", "sh", "-c", "'while :; do :; done'")


@pytest.fixture
def gridengine(scratch: Path) -> Iterator[GridEngine]:
    with GridEngine(scratch, batch=2, proof=1) as server:
        yield server


@pytest.fixture
def exporter(scratch: Path, gridengine: GridEngine) -> Iterator[Exporter]:
    arguments = ("wn", "--batch", "gridengine", "--timeout", 6)
    with running_exporter(*arguments, scratch=scratch, env=gridengine.environment) as exporter:
        yield exporter


def by_state(values: Values, metric: str) -> Values:
    return {name.removeprefix(f"{metric} "): value for name, value in values.items() if name.startswith(f"{metric} ")}


def jobs(values: Values) -> Values:
    return by_state(values, "wn_jobs")


def is_unknown(values: Values) -> bool:
    """Whether neither jobs nor nodes could be read."""
    return values["wn_up"] == 0 and not by_state(values, "wn_slots")


@pytest.mark.testbed
def test_jobs_of_a_real_queue_are_counted_by_state(gridengine: GridEngine, exporter: Exporter) -> None:
    assert jobs(exporter.scrape()) == {"running": 0, "pending": 0, "held": 0, "other": 0}

    gridengine.submit("-q", "batch", "-wd", "/no-such-folder")
    exporter.scrape_until(lambda seen: jobs(seen)["held"] == 1, "the job in error")

    first = gridengine.submit("-q", "batch")
    gridengine.submit("-q", "batch")
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 2, "the running jobs")
    gridengine.submit("-q", "batch")
    gridengine.submit("-q", "batch", "-t", "1-6:2")
    gridengine.submit("-q", "batch", "-h")
    gridengine.submit("-q", "batch", "-hold_jid", first)
    gridengine.submit("-q", "batch", "-a", "203512312359")
    expected = {"running": 2, "pending": 1 + 3, "held": 1 + 1 + 1 + 1, "other": 0}
    values = exporter.scrape_until(lambda seen: jobs(seen) == expected, "the jobs")[-1]
    assert values["wn_cores_allocated"] == 2
    assert values[f"wn_node_jobs {gridengine.host}"] == 2
    assert values["wn_queue_jobs batch pending"] == 4

    gridengine.run("qmod", "-sj", first)
    exporter.scrape_until(lambda seen: (jobs(seen)["running"], jobs(seen)["other"]) == (1, 1), "the suspended job")


@pytest.mark.testbed
def test_a_parallel_job_is_one_job_with_all_its_slots(gridengine: GridEngine, exporter: Exporter) -> None:
    gridengine.submit("-q", "batch", "-pe", "parallel", "2")
    values = exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the parallel job")[-1]
    assert values["wn_cores_allocated"] == 2
    assert values[f"wn_node_cores_allocated {gridengine.host}"] == 2


@pytest.mark.testbed
def test_a_node_whose_queues_are_disabled_is_drained(gridengine: GridEngine, exporter: Exporter) -> None:
    def slots_are(**expected: int) -> None:
        zeros = {"usable": 0, "drained": 0, "down": 0}
        exporter.scrape_until(lambda seen: by_state(seen, "wn_slots") == {**zeros, **expected}, f"{expected}")

    whole = exporter.scrape()["wn_slots usable"]
    gridengine.run("qmod", "-d", "batch")
    slots_are(usable=1)
    gridengine.run("qmod", "-d", "proof")
    slots_are(drained=int(whole))
    assert exporter.scrape()[f"wn_node_slots_usable {gridengine.host}"] == 0
    gridengine.run("qmod", "-e", "*")
    slots_are(usable=int(whole))


@pytest.mark.testbed
def test_a_node_that_is_not_heard_is_down_and_its_jobs_are_still_there(
    gridengine: GridEngine, exporter: Exporter
) -> None:
    gridengine.submit("-q", "batch")
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")
    gridengine.node.kill9()
    values = exporter.scrape_until(lambda seen: seen["wn_slots down"] > 0, "the end of the node")[-1]
    assert values["wn_slots usable"] == 0
    assert jobs(values)["running"] == 1


@pytest.mark.testbed
@pytest.mark.parametrize("end", ["killed", "told to stop"])
def test_an_outage_of_the_master_is_unknown_and_never_an_empty_queue(
    gridengine: GridEngine, exporter: Exporter, end: str
) -> None:
    gridengine.submit("-q", "batch")
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")

    if end == "killed":
        gridengine.master.kill9()
    else:
        gridengine.run("qconf", "-km")
    seen = exporter.scrape_until(is_unknown, "the outage")
    assert {jobs(values).get("running") for values in seen} <= {1, None}
    assert jobs(seen[-1]) == {}
    assert "wn_cores_allocated" not in seen[-1]
    # A master that is about to end keeps its connections, and answers them no more.
    assert re.search(r"wn: qstat (failed with exit code 1: error: |gave no answer)", exporter.process.log_tail())

    gridengine.master.kill9()
    gridengine.master.start()
    gridengine.wait_for_master()
    back = exporter.scrape_until(lambda values: values["wn_up"] == 1, "the end of the outage")[-1]
    assert jobs(back)["running"] == 1
    assert exporter.process.terminate() == 0


@pytest.mark.testbed
def test_the_cpu_efficiency_is_that_of_the_running_jobs(gridengine: GridEngine, exporter: Exporter) -> None:
    gridengine.submit("-q", "batch", job=BUSY)
    values = exporter.scrape_until(lambda seen: seen.get("wn_running_cpu_seconds", 0) >= 5, "a busy job's CPU time")[-1]
    assert values["wn_running_cpu_seconds"] <= values["wn_running_core_seconds"] + 1  # start times are whole seconds
    assert 0 < values["wn_cpu_efficiency_ratio"] <= 1.2

    gridengine.submit("-q", "proof")
    exporter.scrape_until(lambda seen: seen["wn_cpu_efficiency_ratio"] < 0.8, "what an idle job does to it")
