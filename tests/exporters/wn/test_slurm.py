"""Jobs as ``squeue --json`` shows them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.slurm import Jobs, count_tasks, parse_squeue, run_squeue
from tests.testbed.processes import wait_until

SAMPLES = Path(__file__).parents[1] / "samples" / "slurm"


def squeue_of(*jobs: dict[str, Any], errors: Any = ()) -> bytes:
    return json.dumps({"meta": {}, "errors": list(errors), "jobs": jobs}).encode()


def job(job_state: Any = "PENDING", reason: str = "None", cpus: Any = 1, array_task_string: Any = "") -> dict[str, Any]:
    return {"job_state": job_state, "state_reason": reason, "cpus": cpus, "array_task_string": array_task_string}


def script(folder: Path, body: str) -> str:
    file = folder / "squeue"
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return str(file)


def test_a_real_queue_is_counted_as_its_text_form_shows_it() -> None:
    # squeue -r: running 1-4 and 10_1; eligible 5-9 and 10_2..10_6; Dependency, BeginTime, PartitionConfig, JobHeldUser
    expected = Jobs({"running": 5, "pending": 10, "held": 4}, cores_allocated=2 + 2 + 2 + 1 + 1)
    assert parse_squeue((SAMPLES / "squeue.json").read_bytes()) == expected


def test_an_empty_queue_is_no_jobs() -> None:
    assert parse_squeue((SAMPLES / "squeue-empty.json").read_bytes()) == Jobs()


def test_an_empty_list_beside_errors_is_unknown_and_not_empty() -> None:
    with pytest.raises(SourceUnavailable, match=r"squeue reports errors: .*Failed while looking for jobs"):
        parse_squeue((SAMPLES / "squeue-ctld-down.json").read_bytes())


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "printed nothing"),
        (b" \n", "printed nothing"),
        (b"slurm_load_jobs error", "not a whole JSON document"),
        (squeue_of(job())[:-2], "not a whole JSON document"),
        (b"\xff", "not a whole JSON document"),
        (b"[" * 100_000, "not a whole JSON document"),
        (b"[]", "not an object"),
        (b"{}", "no list of jobs"),
        (b'{"jobs": null}', "no list of jobs"),
        (b'{"jobs": [1]}', "no list of jobs"),
        (b'{"errors": null, "jobs": []}', "reports errors"),
        (squeue_of({}), "job_state is neither"),
        (squeue_of(job([])), "job_state is neither"),
        (squeue_of(job(["RUNNING", 3])), "job_state is neither"),
        (squeue_of(job("RUNNING", cpus=None)), "without its number of cpus"),
        (squeue_of(job("RUNNING", cpus="2")), "without its number of cpus"),
        (squeue_of(job("RUNNING", cpus=-1)), "without its number of cpus"),
        (squeue_of(job("RUNNING", cpus=True)), "without its number of cpus"),
        (squeue_of(job("RUNNING", cpus={"set": False, "infinite": False, "number": 0})), "without its number of cpus"),
        (squeue_of(job("RUNNING", cpus={"set": True, "infinite": True, "number": 0})), "without its number of cpus"),
        (squeue_of(job(array_task_string=5)), "array_task_string is not a string"),
        (squeue_of(job(array_task_string="1,3,...")), "not a list of task ids"),
        (squeue_of(job(array_task_string="1-9:0")), "an impossible range"),
        (squeue_of(job(array_task_string="9-1")), "an impossible range"),
    ],
)
def test_output_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_squeue(output)


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        ("RUNNING", "running"),
        (["RUNNING"], "running"),
        (["PENDING"], "pending"),
        ("COMPLETING", "other"),
        (["COMPLETED", "COMPLETING"], "other"),
        ("SUSPENDED", "other"),
        (["RUNNING", "CONFIGURING"], "other"),
        ("A_STATE_OF_THE_FUTURE", "other"),
    ],
)
def test_a_live_job_is_of_one_kind(states: Any, kind: str) -> None:
    assert parse_squeue(squeue_of(job(states))).counts == {kind: 1}


@pytest.mark.parametrize("state", ["COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", ["OUT_OF_MEMORY"]])
def test_a_job_that_has_ended_is_not_counted(state: Any) -> None:
    assert parse_squeue(squeue_of(job(state))) == Jobs()


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin", "Dependency", "BeginTime", "PartitionConfig"])
def test_a_job_that_may_not_start_is_held(reason: str) -> None:
    assert parse_squeue(squeue_of(job("PENDING", reason))).counts == {"held": 1}


@pytest.mark.parametrize(
    "reason", ["None", "Resources", "Priority", "QOSMaxJobsPerUserLimit", "A reason of the future"]
)
def test_a_job_that_waits_for_its_turn_is_pending(reason: str) -> None:
    assert parse_squeue(squeue_of(job("PENDING", reason))).counts == {"pending": 1}


def test_cores_are_the_cpus_of_running_jobs_only() -> None:
    later_version = {"set": True, "infinite": False, "number": 8}
    output = squeue_of(job("RUNNING", cpus=4), job("RUNNING", cpus=later_version), job("PENDING", cpus=40))
    assert parse_squeue(output).cores_allocated == 12


@pytest.mark.parametrize(
    ("expression", "tasks"),
    [("7", 1), ("2-6%2", 5), ("1,3,5-9", 7), ("0-10:2", 6), ("0-9:2", 5), ("1-3,10-20:5%4", 6)],
)
def test_the_waiting_tasks_of_an_array_are_counted(expression: str, tasks: int) -> None:
    assert count_tasks(expression) == tasks
    assert parse_squeue(squeue_of(job(array_task_string=expression))).counts == {"pending": tasks}


def test_a_huge_range_is_counted_without_being_walked() -> None:
    assert count_tasks("0-4294967295") == 2**32


def test_squeue_is_asked_for_json_with_uncut_task_lists(tmp_path: Path) -> None:
    assert run_squeue(script(tmp_path, 'echo "$@ $SLURM_BITSTR_LEN"'), timeout_s=20) == b"--json 0\n"


def test_a_failing_squeue_is_unavailable_with_its_own_words(tmp_path: Path) -> None:
    command = script(tmp_path, "echo 'Invalid credential' >&2; exit 1")
    with pytest.raises(SourceUnavailable, match="squeue failed with exit code 1: Invalid credential"):
        run_squeue(command, timeout_s=20)


def test_a_missing_squeue_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"cannot run .*/none: No such file or directory; is it installed"):
        run_squeue(str(tmp_path / "none"), timeout_s=20)


def test_a_hanging_squeue_is_killed_with_its_children(tmp_path: Path) -> None:
    command = script(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; wait")
    began = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"squeue gave no answer within 0\.5 s"):
        run_squeue(command, timeout_s=0.5)
    assert time.monotonic() - began < 20
    child = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    wait_until(lambda: not child.exists() or ") Z " in child.read_text(), 20, "the end of squeue's child")
