"""Batch jobs are read with the CPU time and the memory that the log tells, or with what is said for the others."""

from pathlib import Path

import pytest

from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.workload import Job
from tests.simulation.traces.files import swf_row, written


def test_swf_tells_cpu_time_and_memory_of_each_processor(tmp_path: Path) -> None:
    (job,) = read_jobs(written(tmp_path, swf_row(5, 100, cpu_s=80, memory_kib=1500)), memory_mib=700).content
    assert job == Job(5, 100, 0.8, 2)


def test_a_job_of_several_processors_is_as_many_jobs(tmp_path: Path) -> None:
    rows = [swf_row(5, 100, 3, cpu_s=80, memory_kib=2048), swf_row(6, 100, -1, requested=2)]
    assert (
        read_jobs(written(tmp_path, *rows), memory_mib=700).content
        == (Job(5, 100, 0.8, 2),) * 3 + (Job(6, 100, 1.0, 700),) * 2
    )


@pytest.mark.parametrize("kib", [-1, 0, "nan", "inf", 1e30])
def test_unknown_memory_is_replaced_and_said(tmp_path: Path, kib: object) -> None:
    rows = [swf_row(memory_kib=kib), swf_row(memory_kib=1024)]
    trace = read_jobs(written(tmp_path, *rows), memory_mib=700)
    assert [job.memory_mib for job in trace.content] == [700, 1]
    assert "1 of 2 jobs do not tell their memory: taken as 700 MiB each" in trace.notes


@pytest.mark.parametrize(
    ("cpu_s", "ratio"), [(-1, 0.9), ("nan", 0.9), (0, 0.01), (1, 0.01), (50, 0.5), (100, 1), (350, 1), ("inf", 1)]
)
def test_the_share_of_cpu_time_is_more_than_none_and_not_more_than_all(
    tmp_path: Path, cpu_s: object, ratio: float
) -> None:
    (job,) = read_jobs(written(tmp_path, swf_row(0, 100, cpu_s=cpu_s)), memory_mib=700, cpu_ratio=0.9).content
    assert job.cpu_ratio == ratio


def test_a_share_of_cpu_time_that_cannot_be_is_replaced_and_said(tmp_path: Path) -> None:
    file = written(tmp_path, "1,60,90", "2,60,-3", "3,60,0", "4,60,0", "5,60,0.5", header="submit_s,run_s,cpu_ratio\n")
    trace = read_jobs(file, memory_mib=700)
    assert [job.cpu_ratio for job in trace.content] == [1.0, 1.0, 0.01, 0.01, 0.5]
    assert [note for note in trace.notes if "CPU time" in note] == [
        "1 of 5 jobs have more CPU time than run time (cpu_ratio is 0.9 where it is 90%): taken as 100%",
        "1 of 5 jobs do not tell their CPU time: taken as 100% of their run time",
        "2 of 5 jobs have no CPU time: taken as 1% of their run time",
    ]


def test_jobs_that_tell_everything_need_no_words(tmp_path: Path) -> None:
    file = written(tmp_path, "1,60,0.5,512", header="submit_s,run_s,cpu_ratio,memory_mib\n")
    assert [note for note in read_jobs(file, memory_mib=700).notes if "jobs" in note] == []


def test_cancelled_jobs_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [swf_row(1), swf_row(2, -1, 0), swf_row(3, 0, 0), swf_row(4, 60, 0), swf_row(5, 60, 20_000), "x"]
    trace = read_jobs(written(tmp_path, *rows), memory_mib=700)
    assert len(trace.content) == 1
    assert trace.skipped == {
        "a negative or unknown run time": 1,
        "a run time of 0: it was never started": 1,
        "an unknown number of processors": 1,
        "more than 10000 processors": 1,
        "fewer than 18 columns": 1,
    }


def test_csv_may_tell_cpu_and_memory(tmp_path: Path) -> None:
    file = written(tmp_path, "1,60,512,0.5", "2,60,,", "3,60,x,", header="submit_s,run_s,memory_mib,cpu_ratio\n")
    trace = read_jobs(file, memory_mib=700)
    assert trace.content == (Job(1, 60, 0.5, 512), Job(2, 60, 1.0, 700))
    assert trace.skipped == {"no number where one is needed": 1}


def test_csv_needs_no_more_than_times(tmp_path: Path) -> None:
    file = written(tmp_path, "1,60", header="submit_s,run_s\n")
    assert read_jobs(file, memory_mib=700).content == (Job(1, 60, 1.0, 700),)
