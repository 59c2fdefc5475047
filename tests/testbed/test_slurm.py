"""The exporter ``wn`` against a real Slurm, scraped over HTTP as Prometheus would."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import psutil
import pytest

from tests.exporters.running import DEADLINE_S, EXPORTER, Exporter, Values, running_exporter
from tests.testbed.processes import free_port, wait_until
from tests.testbed.slurm_server import Slurm


@pytest.fixture
def slurm(scratch: Path) -> Iterator[Slurm]:
    with Slurm(scratch, cpus=2) as server:
        yield server


@pytest.fixture
def farm(scratch: Path) -> Iterator[Slurm]:
    """Give a Slurm of three nodes with two CPUs each, the last one in two partitions."""
    with Slurm(scratch, cpus=2, nodes=3) as server:
        yield server


@pytest.fixture
def export(scratch: Path) -> Iterator[Callable[..., Exporter]]:
    """Give a function that starts an exporter of a Slurm with further arguments."""
    logs = (scratch / f"exporter-{number}" for number in count(1))
    with ExitStack() as exporters:

        def start(slurm: Slurm, *arguments: object) -> Exporter:
            argv = ("wn", "--batch", "slurm", "--timeout", 6, *arguments)
            folder = next(logs)
            folder.mkdir()
            return exporters.enter_context(running_exporter(*argv, scratch=folder, env=slurm.environment))

        yield start


def of(name: str, values: Values) -> Values:
    return {key.removeprefix(f"{name} "): value for key, value in values.items() if key.startswith(f"{name} ")}


def jobs(values: Values) -> Values:
    return of("wn_jobs", values)


@pytest.mark.testbed
def test_jobs_of_a_real_queue_are_counted_by_state(slurm: Slurm, export: Callable[..., Exporter]) -> None:
    exporter = export(slurm)
    assert jobs(exporter.scrape()) == {"running": 0, "pending": 0, "held": 0, "other": 0}

    slurm.submit()
    slurm.submit()
    slurm.submit("-p", "batch,proof")
    slurm.submit("--hold")
    slurm.submit("--array=1-6:2%2")
    expected = {"running": 2, "pending": 1 + 3, "held": 1, "other": 0}  # the node has two CPUs
    values = exporter.scrape_until(lambda seen: jobs(seen) == expected, "the jobs")[-1]
    assert values["wn_cores_allocated"] == 2
    assert of("wn_queue_jobs", values)["batch running"] == 2
    assert of("wn_queue_jobs", values)["batch,proof pending"] == 1


@pytest.mark.testbed
def test_a_suspended_job_neither_runs_nor_waits(slurm: Slurm, export: Callable[..., Exporter]) -> None:
    exporter = export(slurm)
    job = slurm.submit()
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")
    slurm.run("scontrol", "suspend", str(job))
    values = exporter.scrape_until(lambda seen: jobs(seen)["other"] == 1, "the suspended job")[-1]
    assert jobs(values) == {"running": 0, "pending": 0, "held": 0, "other": 1}
    assert values["wn_cores_allocated"] == 0


@pytest.mark.testbed
def test_a_task_list_longer_than_slurm_prints_by_default_is_counted_whole(
    slurm: Slurm, export: Callable[..., Exporter]
) -> None:
    tasks = [n * n for n in range(31)]  # no regular step, and 104 characters where Slurm would cut at 64
    slurm.submit("--hold", f"--array={','.join(map(str, tasks))}")
    export(slurm).scrape_until(lambda seen: jobs(seen)["held"] == len(tasks), "all tasks")


@pytest.mark.testbed
def test_cores_are_told_by_node_and_the_nodes_map_to_domains(
    farm: Slurm, scratch: Path, export: Callable[..., Exporter]
) -> None:
    node_map = scratch / "nodes"
    node_map.write_text("wn01 host-a vm-wn01\n")
    exporter = export(farm, "--node-map", node_map)
    farm.submit("-N2", "-n3")
    farm.submit("-w", "wn03", "-p", "proof")
    values = exporter.scrape_until(lambda seen: jobs(seen)["running"] == 2, "the running jobs")[-1]
    cores = of("wn_node_cores_allocated", values)
    assert sorted(cores.values()) == [1, 1, 2]
    assert cores["wn03"] == 1
    assert of("wn_node_jobs", values) == {"wn01": 1, "wn02": 1, "wn03": 1}
    assert values["wn_node_info vm-wn01 host-a wn01"] == 1


@pytest.mark.testbed
def test_drained_and_down_nodes_offer_no_slots(farm: Slurm, export: Callable[..., Exporter]) -> None:
    exporter = export(farm)
    values = exporter.scrape()
    assert of("wn_slots", values) == {"usable": 6, "drained": 0, "down": 0}  # wn03 is in two partitions

    farm.run("scontrol", "update", "nodename=wn01", "state=drain", "reason=test")
    farm.nodes["wn02"].kill9()
    expected = {"usable": 2, "drained": 2, "down": 2}
    values = exporter.scrape_until(lambda seen: of("wn_slots", seen) == expected, "the drained and the down node")[-1]
    assert of("wn_node_slots_usable", values) == {"wn01": 0, "wn02": 0, "wn03": 2}


@pytest.mark.testbed
def test_an_outage_of_the_controller_is_unknown_and_never_an_empty_queue(
    slurm: Slurm, export: Callable[..., Exporter]
) -> None:
    exporter = export(slurm)
    slurm.submit()
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")

    slurm.controller.terminate()
    down = exporter.scrape_until(lambda seen: seen["wn_up"] == seen["wn_nodes_up"] == 0, "the outage")[-1]
    assert jobs(down) == of("wn_slots", down) == of("wn_node_slots_usable", down) == {}
    assert "wn_cores_allocated" not in down
    assert down["wn_last_success_timestamp_seconds"] > 0
    assert "squeue gave no answer within 6 s" in exporter.process.log_tail()
    assert "sinfo gave no answer within 6 s" in exporter.process.log_tail()

    slurm.controller.start()
    slurm.wait_for_nodes()
    back = exporter.scrape_until(lambda seen: seen["wn_up"] == seen["wn_nodes_up"] == 1, "the end of the outage")[-1]
    assert jobs(back)["running"] == 1
    assert of("wn_slots", back)["usable"] == 2
    assert exporter.process.terminate() == 0


@pytest.mark.testbed
def test_once_says_down_even_if_the_commands_take_their_time_and_exit_0(slurm: Slurm) -> None:
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
    assert "sinfo reports errors" in done.stderr
    assert "wn_jobs{" not in done.stdout
    assert "wn_slots{" not in done.stdout


@pytest.mark.testbed
@pytest.mark.parametrize("by", ["tcp", "unix"])
def test_slurmrestd_tells_the_same_as_the_commands(
    farm: Slurm, scratch: Path, export: Callable[..., Exporter], by: str
) -> None:
    farm.submit("-N2", "-n3")
    farm.submit("--array=1-4", "--hold")
    farm.run("scontrol", "update", "nodename=wn03", "state=drain", "reason=test")
    told = export(farm).scrape_until(lambda seen: jobs(seen)["running"] == 1, "the running job")[-1]

    token = scratch / "token"
    token.write_text(farm.token())
    port, path = free_port(), farm.folder / "restd"
    address, url = {
        "tcp": (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"),
        "unix": (f"unix:{path}", f"unix://{path}"),
    }[by]
    with farm.rest_server("jwt", address):
        exporter = export(farm, "--slurmrestd", url, "--slurmrestd-token-file", token, "--commands", "/nonexistent")
        values = exporter.scrape_until(lambda seen: seen["wn_up"] == seen["wn_nodes_up"] == 1, "slurmrestd")[-1]
    for name in ("wn_jobs", "wn_queue_jobs", "wn_node_jobs", "wn_node_cores_allocated", "wn_slots"):
        assert of(name, values) == of(name, told) != {}


@pytest.mark.testbed
def test_a_slurmrestd_that_refuses_is_unknown_and_says_why(
    slurm: Slurm, scratch: Path, export: Callable[..., Exporter]
) -> None:
    token = scratch / "token"
    token.write_text(slurm.token())
    port = free_port()
    asked = ("--slurmrestd", f"http://127.0.0.1:{port}", "--slurmrestd-token-file", token)
    with slurm.rest_server("jwt", f"127.0.0.1:{port}"):
        exporter = export(slurm, *asked)
        exporter.scrape_until(lambda seen: seen["wn_up"] == 1, "slurmrestd")

        token.write_text("no-token")
        down = exporter.scrape_until(lambda seen: seen["wn_up"] == 0, "the refused token")[-1]
        assert jobs(down) == {}
        assert "answered 401: it wants a token that is valid" in exporter.process.log_tail()

        token.write_text(slurm.token())
        exporter.scrape_until(lambda seen: seen["wn_up"] == 1, "the new token")

        slurm.controller.pause()
        down = exporter.scrape_until(lambda seen: seen["wn_up"] == 0, "the controller that hangs")[-1]
        slurm.controller.resume()
        assert jobs(down) == {}

        other = export(slurm, *asked, "--slurmrestd-version", "v0.0.99")
        # A slurmrestd that has just waited for its controller may not answer at once.
        refused = "answered 404: it does not speak v0.0.99; name a version"
        down = other.scrape_until(lambda _: refused in other.process.log_tail(), "the refused version")[-1]
        assert down["wn_up"] == 0
    down = exporter.scrape_until(lambda seen: "wn_jobs running" not in seen, "the end of slurmrestd")[-1]
    assert down["wn_up"] == 0


@pytest.mark.testbed
def test_every_step_of_every_task_of_an_array_counts_once(farm: Slurm, export: Callable[..., Exporter]) -> None:
    exporter = export(farm, "--cpu-efficiency")
    farm.submit("--array=1-4", script="srun sleep 600")
    farm.submit()
    steps = ["squeue", "--noheader", "--steps", "--format=%i"]
    wait_until(lambda: len(farm.run(*steps).split()) == 4 * 2 + 1, DEADLINE_S, "all steps")
    wait_until(lambda: farm.core_s() >= 20, DEADLINE_S, "some seconds")

    def told() -> tuple[int, Values] | None:
        least_s, values = farm.core_s(), exporter.scrape()
        return (least_s, values) if values["wn_usage_up"] else None

    least_s, values = wait_until(told, DEADLINE_S, "the usage of all steps")
    assert least_s <= values["wn_running_core_seconds"] <= farm.core_s() + 5  # no job is missing, none counts twice
    assert values["wn_cpu_efficiency_ratio"] < 0.5


def used_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


@pytest.mark.testbed
def test_efficiency_is_that_of_the_work_which_jobs_do(slurm: Slurm, export: Callable[..., Exporter]) -> None:
    exporter = export(slurm, "--cpu-efficiency")
    assert exporter.scrape()["wn_usage_up"] == 1

    sleeping = slurm.submit()
    values = exporter.scrape_until(lambda seen: seen.get("wn_running_core_seconds", 0) >= 5, "a sleeping job")[-1]
    assert values["wn_cpu_efficiency_ratio"] < 0.1
    slurm.run("scancel", str(sleeping))
    exporter.scrape_until(lambda seen: jobs(seen)["running"] == 0, "the end of the sleeping job")

    # The machine is not ours alone: a busy job gets what it gets, and the kernel knows how much that is.
    slurm.submit(script="while :; do :; done")
    busy = wait_until(slurm.busy_processes, DEADLINE_S, "the busy job")
    before_s = used_s(busy)
    exporter.scrape_until(lambda seen: seen.get("wn_running_cpu_seconds", 0) > before_s + 5, "work of a busy job")
    least_s = used_s(busy)
    values = exporter.scrape()
    most_s = used_s(busy)
    assert least_s - 1 <= values["wn_running_cpu_seconds"] <= most_s + 1  # sstat tells whole seconds
    core_s = values["wn_running_core_seconds"]
    assert values["wn_cpu_efficiency_ratio"] == pytest.approx(values["wn_running_cpu_seconds"] / core_s)


@pytest.mark.testbed
def test_without_a_gatherer_the_efficiency_is_unknown_and_the_jobs_are_not(
    scratch: Path, export: Callable[..., Exporter]
) -> None:
    with Slurm(scratch, gather="none") as slurm:
        exporter = export(slurm, "--cpu-efficiency")
        slurm.submit()
        values = exporter.scrape_until(lambda seen: jobs(seen)["running"] == 1 > seen["wn_usage_up"], "the job")[-1]
        assert "wn_cpu_efficiency_ratio" not in values
        assert values["wn_up"] == 1
        assert "sstat knows nothing of the running jobs" in exporter.process.log_tail()
