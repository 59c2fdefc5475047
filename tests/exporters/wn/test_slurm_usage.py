"""The CPU time of running jobs, as squeue and sstat tell it."""

from pathlib import Path

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Usage
from exporters.wn.slurm import system
from exporters.wn.slurm_usage import MOST_JOBS, combine, parse_running, parse_steps, sample, seconds
from tests.exporters.wn.test_slurm import DEADLINE_S, install


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:09", 9),
        ("00:00:02", 2),
        ("1:02:03", 3723),
        ("2-03:04:05", 183845),
        ("12:34.500", 754.5),
        ("", None),
        ("INVALID", None),
        ("5", None),
        ("-1:00", None),
    ],
)
def test_slurms_times_are_read(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


def test_a_running_job_has_wall_time_times_its_cpus() -> None:
    assert parse_running(b"1|1|0:09\n30|8|1-00:00:00\n") == {"1": 9, "30": 8 * 86400}


def test_a_job_has_used_what_the_tasks_of_all_its_steps_have() -> None:
    steps = b"3.batch|1|00:00:05\n3.0|3|00:00:10\n3.extern|1|00:00:00\n12_4.batch|1|00:01:00\n"
    assert parse_steps(steps) == {"3": 35, "12": 60}


def test_a_step_without_tasks_is_not_known() -> None:
    # What 22.05 prints with JobAcctGatherType=jobacct_gather/none.
    assert parse_steps(b"1.batch|0|213503982334-14:25:51\n") == {}


@pytest.mark.parametrize("line", [b"1|1", b"1|1|never", b"x|1|0:09", b"\xff", b"1|1|0:09|more"])
def test_lines_of_squeue_that_are_not_as_asked_are_unavailable(line: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"^squeue printed "):
        parse_running(b"1|1|0:09\n" + line)


@pytest.mark.parametrize("line", [b"1|1|0:00", b"1.batch|1", b"\xff", b"JobID|NTasks|AveCPU"])
def test_lines_of_sstat_that_are_not_as_asked_are_unavailable(line: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"^sstat printed "):
        parse_steps(b"1.batch|1|00:00:01\n" + line)


def test_only_jobs_that_sstat_knows_count() -> None:
    assert combine({"1": 10.0, "2": 20.0}, {"1": 9.0, "77": 5.0}) == [Usage(9.0, 10.0)]


def test_no_running_job_is_no_usage() -> None:
    assert combine({}, {}) == []


def test_running_jobs_that_sstat_knows_nothing_of_are_unknown_and_not_idle() -> None:
    with pytest.raises(SourceUnavailable, match=r"^sstat knows nothing of the running jobs; .*SlurmUser"):
        combine({"1": 10.0}, {})


@pytest.mark.parametrize("jobs", [0, 1, MOST_JOBS, MOST_JOBS + 1, 3 * MOST_JOBS, 20_000])
def test_of_many_jobs_a_sample_is_asked_which_has_old_and_new_ones(jobs: int) -> None:
    chosen = sample({str(number): 1.0 for number in range(jobs)})
    assert min(jobs, MOST_JOBS // 2) <= len(chosen) <= MOST_JOBS
    numbers = [int(job) for job in chosen]
    assert numbers == sorted(numbers)
    assert jobs == 0 or (numbers[0] == 0 and numbers[-1] >= jobs * 0.98 - 1)


def test_sstat_is_asked_for_the_running_jobs(tmp_path: Path) -> None:
    install(tmp_path, "squeue", f"echo \"$@\" > {tmp_path}/squeue.asked; printf '7|2|0:10\\n12|1|0:20\\n'")
    install(tmp_path, "sstat", f"echo \"$@\" > {tmp_path}/sstat.asked; printf '7.batch|1|00:00:15\\n'")
    usages = system(tmp_path, DEADLINE_S, cpu_efficiency=True).usages
    assert usages is not None
    assert usages() == [Usage(15, 20)]
    assert "--states=RUNNING" in (tmp_path / "squeue.asked").read_text()
    assert (tmp_path / "sstat.asked").read_text().rstrip().endswith(" --jobs=7,12")


def test_sstat_is_left_alone_when_nothing_runs(tmp_path: Path) -> None:
    install(tmp_path, "squeue", ":")
    usages = system(tmp_path, DEADLINE_S, cpu_efficiency=True).usages
    assert usages is not None
    assert usages() == []
