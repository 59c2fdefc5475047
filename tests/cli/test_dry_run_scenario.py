"""`autoscaler dry-run --scenario`: policies on recorded workloads."""

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import Result

from autoscaler.simulation.figures import FIGURES
from autoscaler.simulation.ranking import COMPARED
from tests.cli.site import COMMAND, invoke

SCENARIO = """
hosts:
  - name: vaf
    count: 2
    cores: 8
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    job_slots: 8
    proof: {dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
    wn: {memory_floor: 572 MiB, memory_max: 6911 MiB, swap_down_to: 572 MiB}
proof: {workers_per_session: 4}
price: {wait_core_seconds: 8}
policies:
  quick: {name: threshold, workers_per_session: 4, idle: 1m}
  dedicated: {name: static, workers: 8}
"""
HOUR_S = 3600


@dataclass(frozen=True)
class Place:
    """A folder with a scenario and two traces."""

    folder: Path

    def dry_run(self, *arguments: str) -> Result:
        """Compare policies there."""
        traces = ("--proof-trace", str(self.folder / "sessions.csv"), "--wn-trace", str(self.folder / "jobs.csv"))
        return invoke("dry-run", "--scenario", str(self.folder / "scenario.yaml"), *traces, *arguments)

    def values(self, *arguments: str) -> dict[str, Any]:
        """The same as JSON."""
        result = self.dry_run("--format", "json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    sessions = [f"{at_s},900,4,ann" for at_s in range(HOUR_S, 100 * HOUR_S, HOUR_S)]
    jobs = [f"{at_s},7200" for at_s in range(0, 100 * HOUR_S, 1800)]
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    (tmp_path / "sessions.csv").write_text("\n".join(["submit_s,run_s,workers,user", *sessions]))
    (tmp_path / "jobs.csv").write_text("\n".join(["submit_s,run_s", *jobs]))
    return Place(tmp_path)


def test_each_policy_of_the_scenario_is_a_row_and_the_oracle_the_last(place: Place) -> None:
    rows = place.values()["rows"]
    assert [row["policy"] for row in rows] == ["quick", "dedicated", "oracle"]
    assert [row["sessions"] for row in rows] == [99, 99, 99]


def test_a_row_has_every_figure_that_is_documented_and_no_other(place: Place) -> None:
    values = place.values()
    assert all(row.keys() == {**FIGURES, **COMPARED}.keys() for row in values["rows"])
    assert values["figures"].keys() == values["rows"][0].keys()


def test_who_keeps_workers_lets_nobody_wait_and_who_does_not_has_none_to_spare(place: Place) -> None:
    quick, dedicated, _ = place.values()["rows"]
    # Only the first one, with which the workload begins, comes before there is anything.
    assert dedicated["missed_arrivals_ratio"] == pytest.approx(1 / 99)
    assert dedicated["changes_per_day"] < 1
    assert quick["missed_arrivals_ratio"] == 1
    assert quick["spare_workers_mean"] < dedicated["spare_workers_mean"]


def test_four_days_are_too_short_for_a_verdict(place: Place) -> None:
    quick, dedicated, _ = place.values()["rows"]
    assert quick["verdict"] is None
    assert (dedicated["against"], dedicated["verdict"]) == ("quick", "cannot tell")
    assert "too few weeks" in dedicated["verdict_reason"]


def test_installed_policies_are_known_by_their_names_and_the_first_one_is_compared_with(place: Place) -> None:
    rows = place.values("--policies", "dedicated, target_tracking,oracle")["rows"]
    assert [row["policy"] for row in rows] == ["dedicated", "target_tracking", "oracle"]
    assert rows[1]["against"] == "dedicated"


def test_an_installed_policy_is_itself_and_not_a_label_that_is_close_to_it(place: Place) -> None:
    (place.folder / "scenario.yaml").write_text(SCENARIO.replace("  quick:", "  thresholds:"))
    assert [row["policy"] for row in place.values("--policies", "threshold")["rows"]] == ["threshold", "oracle"]


def test_two_runs_and_two_processes_print_the_same_bytes(place: Place) -> None:
    once = place.dry_run("--format", "json").stdout
    assert place.dry_run("--format", "json").stdout == once
    assert place.dry_run("--format", "json", "--jobs", "2").stdout == once


def test_the_table_says_what_was_played(place: Place) -> None:
    text = place.dry_run().stdout
    for words in (
        "2 hosts, 16 cores",
        "99 PROOF sessions and 1",
        "jobs do not tell their memory",
        "regret",
    ):
        assert words in text
    assert "dedicated against quick: cannot tell" in text


def test_the_page_is_one_file_and_the_same_each_time(place: Place) -> None:
    pages = [place.folder / name for name in ("one.html", "two.html")]
    for page in pages:
        assert place.dry_run("--format", "html", "--output", str(page)).exit_code == 0
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert "dedicated" in pages[0].read_text()


def test_several_scenarios_are_several_comparisons(place: Place) -> None:
    other = place.folder / "other.yaml"
    other.write_text(SCENARIO.replace("count: 2", "count: 3"))
    found = place.values("--scenario", str(other))["scenarios"]
    assert [each["title"] for each in found] == ["Policies on scenario.yaml", "Policies on other.yaml"]
    assert "3 hosts, 24 cores" in found[1]["scenario"][0]


def test_scenarios_with_one_name_are_told_apart_by_their_folders(place: Place) -> None:
    other = place.folder / "larger" / "scenario.yaml"
    other.parent.mkdir()
    other.write_text(SCENARIO.replace("count: 2", "count: 3"))
    found = place.values("--scenario", str(other), "--policies", "dedicated")["scenarios"]
    assert [each["title"] for each in found] == [
        f"Policies on {path}" for path in (place.folder / "scenario.yaml", other)
    ]


def test_what_is_written_to_is_replaced_whole_or_left_alone(place: Place) -> None:
    output = place.folder / "review.json"
    output.write_text("kept")
    assert place.dry_run("--format", "json", "--output", str(output), "--policies", "nobody").exit_code == 1
    assert output.read_text() == "kept"
    assert place.dry_run("--format", "json", "--output", str(output)).exit_code == 0
    assert json.loads(output.read_text())["rows"]
    assert sorted(path.name for path in place.folder.iterdir()) == [
        *("jobs.csv", "review.json", "scenario.yaml", "sessions.csv"),
    ]


def test_where_nothing_can_be_written_nothing_is_played(place: Place) -> None:
    (place.folder / "sessions.csv").unlink()
    result = place.dry_run("--output", str(place.folder))
    assert (result.exit_code, "cannot be written: Is a directory" in result.output) == (1, True), result.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--policies", "nobody"], 1, "nobody: no policy is called 'nobody'; installed are hold"),
        (
            ["--policies", "static"],
            1,
            "static: policy static needs workers (what is not installed, or needs parameters",
        ),
        (["--policies", "oracle"], 2, "the oracle is no policy to choose"),
        (["--from-decisions"], 2, "does not take --from-decisions, which is another kind of dry run"),
        (["--dask", "nonsense"], 1, "'nonsense' is not the address of a Dask scheduler, such as tcp://HOST:8786"),
        (["--format", "html"], 2, "--format html needs --output FILE"),
        (["--jobs", "0"], 2, "--jobs"),
        (
            ["--since", "7d"],
            2,
            "does not take --since, which is another kind of dry run, or goes with --from-decisions",
        ),
        (["--policies", ""], 2, "--policies '' has an empty name in it"),
        (["--policies", "quick,,dedicated"], 2, "--policies 'quick,,dedicated' has an empty name in it"),
        (["--policies", "quick,dedicated, quick"], 2, "--policies names quick more than once"),
        (["--policies", "quik"], 1, "scenario.yaml has no such label (did you mean 'quick'?)"),
        (["--policies", "treshold"], 1, "no policy is called 'treshold' (did you mean 'threshold'?); installed are"),
        (["--output", ""], 2, "Invalid value for '--output': the name is empty"),
        (["--proof-queue", "-1"], 2, "--proof-queue"),
        (["--proof-queue", "3"], 1, "is CSV, which has no queues"),
        (["--output", "/nowhere/at/all"], 1, "/nowhere/at/all: cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(place: Place, arguments: list[str], code: int, words: str) -> None:
    result = place.dry_run(*arguments)
    assert (result.exit_code, words in result.output) == (code, True), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (gzip.compress(b"submit_s,run_s\n" + b"".join(b"%d,2\n" % at_s for at_s in range(5000)))[:-100], "is torn"),
        (b"when,run_s\n1,2\n", "has no column 'submit_s'"),
        (b"submit_s,run_s\n-5,2\n3,-1\n", "no row can be used"),
    ],
)
def test_a_trace_that_cannot_be_used_is_a_sentence_that_names_it(place: Place, content: bytes, words: str) -> None:
    trace = place.folder / "sessions.csv"
    trace.write_bytes(content)
    result = place.dry_run()
    assert (result.exit_code, str(trace) in result.output) == (1, True), result.output
    assert words in result.output


def test_a_policy_that_is_called_the_oracle_is_refused(place: Place) -> None:
    (place.folder / "scenario.yaml").write_text(SCENARIO + "  oracle: {name: hold}\n")
    result = place.dry_run()
    assert (result.exit_code, "policies.oracle: the oracle is always compared with" in result.output) == (1, True)


def test_who_never_got_workers_and_who_wants_too_many_is_told(place: Place) -> None:
    wide = SCENARIO.replace("workers_per_session: 4", "workers_per_session: 99")
    (place.folder / "scenario.yaml").write_text(wide)
    text = place.dry_run("--policies", "dedicated").stdout
    assert "99 sessions want more than 16 workers, which is all there can be" in text
    assert "dedicated: 99 sessions never got their workers" in text


def test_an_oracle_that_does_not_serve_everybody_is_said_to_be_no_bound(place: Place) -> None:
    served, wide = SCENARIO, SCENARIO.replace("workers_per_session: 4", "workers_per_session: 99")
    told = []
    for scenario in (served, wide):
        (place.folder / "scenario.yaml").write_text(scenario)
        told.append([line for line in place.values("--policies", "quick")["workload"] if "no bound" in line])
    assert told[0] == []
    assert told[1][0].startswith("the oracle is no bound here: 42 of its 99 sessions never got their workers, as the ")


def test_without_batch_jobs_it_is_said_what_the_comparison_cannot_show(place: Place) -> None:
    assert not any("no batch jobs" in line for line in place.values("--policies", "dedicated")["workload"])
    arguments = ("--scenario", place.folder / "scenario.yaml", "--proof-trace", place.folder / "sessions.csv")
    said = " ".join(invoke("dry-run", *arguments, "--policies", "dedicated").stdout.split())
    assert "there are no batch jobs (--wn-trace): workers take nothing from anybody" in said


def test_of_a_policy_that_never_has_a_worker_it_is_said_what_its_figures_show(place: Place) -> None:
    first, *others = (
        [line for line in place.values("--policies", policies)["workload"] if "never had a worker" in line]
        for policies in ("hold,dedicated", "dedicated,hold", "dedicated")
    )
    assert first[0].startswith("hold never had a worker, as a run begins without any: ")
    assert first[0].endswith("no verdict against it says more")
    assert [[line.endswith("how good the policy is") for line in lines] for lines in others] == [[True], []]


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """What a shell starts in the background ignores it, and so does all that this starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding_ctrl_c")
def test_ctrl_c_ends_it_and_its_processes_at_once(place: Place) -> None:
    scenario, sessions = place.folder / "scenario.yaml", place.folder / "sessions.csv"
    sessions.write_text("submit_s,run_s\n" + "".join(f"{at_s},60\n" for at_s in range(0, 365 * 24 * HOUR_S, 600)))
    command = [COMMAND, "dry-run", "--scenario", scenario, "--proof-trace", sessions, "--jobs", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        own = psutil.Process(process.pid)
        while len(children := own.children()) < 3 or sum(child.cpu_times().user for child in children) < 2:
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Traceback" in said) == (1, False), said
    assert psutil.wait_procs(children, timeout=60)[1] == []


def test_without_sessions_there_is_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    result = invoke("dry-run", "--scenario", str(tmp_path / "scenario.yaml"))
    assert (result.exit_code, "--scenario needs --proof-trace FILE" in result.output) == (2, True)


def test_where_a_piece_is_played_counts_are_said_to_be_of_the_whole_file(place: Place) -> None:
    found = {}
    for piece in ("", "piece: {from: 0.5}\n"):
        (place.folder / "scenario.yaml").write_text(SCENARIO + piece)
        lines = place.values("--policies", "dedicated")["workload"]
        found[piece] = [line for line in lines if "whole file" in line]
    assert list(found.values()) == [
        [],
        ["what is counted in a trace is of the whole file; played is the piece 0.5 to 1"],
    ]


def test_a_mistake_in_the_scenario_has_its_line(place: Place) -> None:
    (place.folder / "scenario.yaml").write_text(SCENARIO.replace("cores: 8", "cores: many"))
    result = place.dry_run()
    assert (result.exit_code, "scenario.yaml:5: hosts[0].cores" in result.output) == (1, True), result.output


def test_a_page_is_of_a_scenario_only() -> None:
    result = invoke("dry-run", "--format", "html")
    assert (result.exit_code, "goes with --scenario" in result.output) == (2, True)
