"""The CPU time of running jobs, as squeue and sstat tell it."""

from pathlib import Path

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Usage
from exporters.wn.slurm import system
from exporters.wn.slurm_usage import (
    MOST_STEPS,
    Running,
    combine,
    parse_running,
    parse_steps,
    parse_use,
    sample,
    seconds,
)
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


def jobs(*numbers: int) -> list[Running]:
    return [Running(str(number), str(number), 10.0 * number) for number in numbers]


def test_a_running_job_has_wall_time_times_its_cpus_and_a_name_among_the_steps() -> None:
    lines = b"1|1_N/A|1|0:09\n30|28_2|8|1-00:00:00\n"
    assert parse_running(lines) == [Running("1", "1", 9), Running("30", "28_2", 8 * 86400)]


def test_steps_are_listed_by_the_name_of_their_job() -> None:
    assert parse_steps(b"1.batch\n28_2.0\n28_2.batch\n") == {"1": ["batch"], "28_2": ["0", "batch"]}


def test_a_job_has_used_what_the_tasks_of_all_its_steps_have() -> None:
    steps = b"3.batch|1|00:00:05\n3.0|3|00:00:10\n3.extern|1|00:00:00\n12.batch|1|00:01:00\n"
    assert parse_use(steps) == {"3": 35, "12": 60}


def test_a_step_that_is_told_twice_counts_once() -> None:
    assert parse_use(b"3.batch|1|00:00:05\n" * 2) == {"3": 5}


def test_a_step_without_tasks_is_not_known() -> None:
    # What 22.05 prints with JobAcctGatherType=jobacct_gather/none.
    assert parse_use(b"1.batch|0|213503982334-14:25:51\n") == {}


@pytest.mark.parametrize("line", [b"1|1", b"1|1_N/A|1|never", b"1|1|1|0:09", b"\xff", b"1|1_2|1|0:09|more", b""])
def test_lines_of_jobs_that_are_not_as_asked_are_unavailable(line: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"^squeue printed "):
        parse_running(b"1|1_N/A|1|0:09\n" + line + b"\n")


@pytest.mark.parametrize("line", [b"1", b"1.", b"1.0|x", b"STEPID", b"\xff", b""])
def test_lines_of_steps_that_are_not_as_asked_are_unavailable(line: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"^squeue printed "):
        parse_steps(b"1.batch\n" + line + b"\n")


@pytest.mark.parametrize("line", [b"x|1|", b"1.batch|1", b"\xff", b"JobID|NTasks|AveCPU", b""])
def test_lines_of_sstat_that_are_not_as_asked_are_unavailable(line: bytes) -> None:
    with pytest.raises(SourceUnavailable, match=r"^sstat printed "):
        parse_use(b"1.batch|1|00:00:01\n" + line + b"\n")


def test_only_jobs_that_sstat_knows_count() -> None:
    assert combine(jobs(1, 2), {"1": 9.0, "77": 5.0}) == [Usage(9.0, 10.0)]


def test_running_jobs_that_sstat_knows_nothing_of_are_unknown_and_not_idle() -> None:
    with pytest.raises(SourceUnavailable, match=r"^sstat knows nothing of the running jobs; .*SlurmUser"):
        combine(jobs(1), {})


@pytest.mark.parametrize("number", [0, 1, MOST_STEPS, MOST_STEPS + 1, 3 * MOST_STEPS, 20_000])
def test_of_many_jobs_a_sample_is_asked_which_has_old_and_new_ones(number: int) -> None:
    running = jobs(*range(number))
    asked = sample(running[::-1], {each.name: ["batch"] for each in running})
    assert min(number, MOST_STEPS // 2) <= len(asked) <= MOST_STEPS
    numbers = [int(job) for job in asked]
    assert numbers == sorted(numbers)
    assert numbers == [] or (numbers[0] == 0 and numbers[-1] >= number * 0.98 - 1)


def test_a_sample_reaches_the_newest_jobs_also_when_each_has_several_steps() -> None:
    running = [Running(str(number), str(number), 1.0) for number in range(1000, 1200)]
    asked = sample(running, {each.name: ["batch", "extern"] for each in running})
    assert sum(map(len, asked.values())) <= MOST_STEPS
    assert max(map(int, asked)) > 1190


def test_a_job_of_very_many_steps_is_left_out() -> None:
    steps = {"1": ["batch"], "2": [str(step) for step in range(MOST_STEPS)], "3": ["0", "batch"]}
    assert sample(jobs(1, 2, 3), steps) == {"1": ["1.batch"], "3": ["3.0", "3.batch"]}


def test_sstat_is_asked_for_the_steps_of_the_running_jobs_by_their_ids(tmp_path: Path) -> None:
    answers = (
        "case $* in *--steps*) printf '7.batch\\n11_3.0\\n' ;; *) printf '7|7_N/A|2|0:10\\n12|11_3|1|0:20\\n' ;; esac"
    )
    install(tmp_path, "squeue", answers)
    install(tmp_path, "sstat", f"echo \"$@\" > {tmp_path}/asked; printf '7.batch|1|00:00:15\\n12.0|2|00:00:05\\n'")
    usages = system(tmp_path, DEADLINE_S, cpu_efficiency=True).usages
    assert usages is not None
    assert usages() == [Usage(15, 20), Usage(10, 20)]
    assert (tmp_path / "asked").read_text().rstrip().endswith(" --jobs=7.batch,12.0")


@pytest.mark.parametrize("answer", [":", "case $* in *--steps*) ;; *) echo '7|7_N/A|2|0:10' ;; esac"])
def test_sstat_is_left_alone_when_nothing_runs(tmp_path: Path, answer: str) -> None:
    install(tmp_path, "squeue", answer)
    usages = system(tmp_path, DEADLINE_S, cpu_efficiency=True).usages
    assert usages is not None
    assert usages() == []
