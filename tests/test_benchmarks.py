"""The benchmarks run, so that they cannot rot; what they measure is for people to judge."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.learning.standing import standing
from autoscaler.model import Facility, GuardLimits, Memory, Situation
from autoscaler.testing import a_host, observed, proof_window
from policies.threshold import Threshold
from tests.benchmarks import (
    learned,
    learned_adversarial,
    learned_closed,
    learned_cost,
    learned_decisions,
    learned_gate,
    policies,
    replay,
    scale,
    soak,
    soak_laws,
    soak_life,
    soak_plan,
    storm,
)
from tests.core.alerts import MINUTE, a_tuning
from tests.learning.models import a_forest


def test_the_benchmark_of_a_facility_measures_its_cycles() -> None:
    measured = scale.cycles(3, "plain", repeats=1)
    assert measured["all_change"]["transfers"] == 3
    assert min(measured["quiet"].values()) > 0


def test_the_benchmark_of_a_facility_measures_deciding_alone() -> None:
    assert min(scale.decide_alone(3, "plain", repeats=1).values()) > 0


def test_the_benchmark_of_a_facility_measures_a_host_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "PACE", replace(scale.PACE, host_timeout=timedelta(seconds=2)))
    measured = scale.hung(3, "plain", repeats=1)
    assert (measured["without"]["transfers"], measured["first"]["transfers"]) == (3, 2)


def test_replay_measures_runs_of_the_model_and_how_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "REPEATS", 1)
    size = replay.Size(hosts=2, days=1, jobs=50, sessions=20)
    measured = replay.measure("threshold", size)
    assert (measured["cycles"], measured["jobs"]) == (1440, 50)
    assert 0 < measured["decided_in_full"] < 1440
    assert min(measured["cpu_s"], measured["peak_mib"]) > 0
    assert replay.growth(replace(size, days=2)).keys() == {"hosts", "jobs", "sessions", "days"}


def test_the_workload_of_replay_is_the_same_each_time() -> None:
    size = replay.Size(hosts=2, days=3, jobs=50, sessions=20)
    assert replay.workload(size) == replay.workload(size)


HOURS, HOUR_S = 48, 3600
BEGIN_UNIX_S = 1_000_000_000
# Enough to choose from.
FEW = {name: settings[:2] for name, settings in policies.SETTINGS.items()}
PLAYED = ["threshold", *policies.PEERS]


def swf(jobs: Iterator[tuple[int, int]]) -> bytes:
    """A trace of jobs of queue 0 by their submission and run time."""
    lines = [f"; UnixStartTime: {BEGIN_UNIX_S}", "; TimeZoneString: Europe/Rome"]
    for number, (submit_s, run_s) in enumerate(jobs, start=1):
        lines.append(f"{number} {submit_s} 0 {run_s} 1 {run_s} -1 1 -1 -1 1 1 1 -1 0 -1 -1 -1")
    return gzip.compress("\n".join(lines).encode())


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sessions of half an hour in every second hour, and jobs of two hours."""
    folder = tmp_path_factory.mktemp("traces")
    begins = [hour * HOUR_S for hour in range(HOURS)]
    sessions = ((at_s + more_s, 1800) for at_s in begins[::2] for more_s in (0, 600, 700))
    jobs = ((at_s + more_s, 7200) for at_s in begins for more_s in range(0, HOUR_S, 900))
    reads = [f"{BEGIN_UNIX_S + at_s},{10**12},{HOUR_S * 1000}" for at_s in begins]
    (folder / policies.SESSIONS).write_bytes(swf(sessions))
    (folder / policies.JOBS).write_bytes(swf(jobs))
    (folder / policies.READING).write_bytes(gzip.compress("\n".join(["start,fsz,elap", *reads]).encode()))
    return folder


def benchmark(traces: Path, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policies, "SETTINGS", FEW)
        return CliRunner().invoke(policies.main, ["--traces", str(traces), *arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def printed(traces: Path) -> Result:
    return benchmark(traces, "--table", "--html", str(traces / "page.html"))


@pytest.fixture
def contest(printed: Result) -> dict[str, Any]:
    return json.loads(printed.stdout)


def test_the_benchmark_of_policies_compares_all_with_ours_as_it_is_shipped(contest: dict[str, Any]) -> None:
    labels = [label for name in PLAYED for label in (name, f"{name}, tuned")]
    rows = contest["rows"]
    assert [row["policy"] for row in rows] == [*labels, "oracle"]
    assert {row["against"] for row in rows[1:]} == {"threshold"}
    assert all(row.keys() == contest["figures"].keys() for row in rows)


def test_the_benchmark_of_policies_reports_what_won_on_other_sessions(contest: dict[str, Any]) -> None:
    tried, rows = contest["tuning"]["rows"], {row["policy"]: row for row in contest["rows"]}
    assert contest["tuning"]["start"] < contest["start"]
    assert len(tried) == 2 * len(PLAYED) + 1
    for name in PLAYED:
        assert rows[name]["setting"] is None
        mine = [row for row in tried if row["policy"].startswith(f"{name} (")]
        won = next(row for row in mine if row["setting"] == rows[f"{name}, tuned"]["setting"])
        assert won["cost"] == min(row["cost"] for row in mine)


def test_the_benchmark_of_policies_tries_the_defaults_first_so_that_they_win_where_nothing_costs_less() -> None:
    site = policies.Site.of(policies.load_scenario(policies.SCENARIO).scenario.facility)
    tried = policies.candidates("elastiq", policies.SETTINGS["elastiq"], site)
    assert tried[0].setting == {"waiting_jobs_time_s": 40, "idle_for_time_s": 3600}
    assert len(tried) == len(policies.SETTINGS["elastiq"])


def test_the_benchmark_of_policies_shows_tables_beside_its_output(printed: Result, traces: Path) -> None:
    assert "threshold, tuned: idle: " in printed.stderr
    assert "cobald_linear, tuned" in (traces / "page.html").read_text()


def test_the_benchmark_of_policies_prints_the_same_with_two_processes(printed: Result, traces: Path) -> None:
    assert benchmark(traces, "--jobs", "2").stdout == printed.stdout


def jobs_of(*jobs: tuple[float, float]) -> learned.Load:
    """The load of jobs by their submission and run time, in seconds."""
    submit_s, run_s = np.array(jobs).T
    return learned.Load.of(submit_s, run_s, datetime(2024, 1, 1, tzinfo=UTC), UTC)


def test_the_load_of_a_minute_is_the_most_that_is_wanted_at_once_in_it() -> None:
    load = jobs_of((60, 100), (90, 10), (100, 10), (200, 10))
    assert load.start == datetime(2024, 1, 1, 0, 1, tzinfo=UTC)
    assert load.highest.tolist() == [2, 1, 1]
    assert load.arrival_min.tolist() == [0, 0, 0, 2]
    assert load.arrival_load.tolist() == [1, 2, 2, 1]


def test_completed_jobs_are_measured_in_the_time_of_the_whole_trace(tmp_path: Path) -> None:
    rows = [(0, 1, 5), (120, 0, 1), (180, 0, 5), (600, 1, 1)]
    lines = [f"1 {submit_s} 0 30 1 30 -1 1 -1 -1 {status} 1 1 -1 {queue} -1 -1 -1" for submit_s, queue, status in rows]
    (tmp_path / "some.swf").write_text("\n".join(["; UnixStartTime: 1000000020", *lines]))
    load = learned.read(tmp_path, learned.Jobs("some.swf", (0,), completed=True))
    assert load.highest.tolist() == [0, 0, 1, *[0] * 8]
    assert load.arrival_min.tolist() == [2]
    assert learned.read(tmp_path, learned.Jobs("some.swf", (0,))).highest.tolist() == [1, 1]


def test_an_arrival_is_missed_when_all_want_more_than_what_was_asked_for_in_time() -> None:
    load = jobs_of((0, 30), (70, 30), (80, 30), (190, 10))
    found = learned.Course(load, from_min=1, delay_min=1).measure(np.array([1.0, 3.0, 3.0, 0.0]))
    assert found == learned.Measured(spare=(0 + 3 + 2) / 3, missed_share=1 / 3, changes_per_day=480)


def test_the_benchmark_of_learning_tells_what_each_rule_needs(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned, "TRACES", {"made": learned.Jobs(policies.SESSIONS, (policies.QUEUE,))})
    monkeypatch.setattr(learned, "LEVELS", (0.5, 0.9, 0.99))
    arguments = ["--traces", str(traces), "--part", "open"]
    printed = CliRunner().invoke(learned.main, arguments, catch_exceptions=False)
    made = json.loads(printed.stdout)["open"]["made"]
    assert [one["delay_min"] for one in made] == [1, 5]
    names = ["static", "reactive", "hold_down", "quantile", "quantile_hold", "conformal", "conformal_hold"]
    for one in made:
        assert list(one["rules"]) == names
        assert all(one["rules"][name]["missed_share"] <= learned.TARGET for name in names[:3])
        assert min(rule["spare"] for rule in one["rules"].values()) >= 0


def test_the_benchmark_of_learning_plays_the_closed_loop(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_closed, "IDLE_PRICES", (0.4,))
    arguments = ["--traces", str(traces), "--part", "closed", "--dealings", "2"]
    found = json.loads(CliRunner().invoke(learned.main, arguments, catch_exceptions=False).stdout)["closed"]
    assert found["chosen"] == "learned (idle_core_seconds: 0.4)"
    assert [row["policy"] for row in found["tuning"]] == ["threshold", found["chosen"], "oracle"]
    first, *others = found["rows"]
    assert {"learned", "queue_length (tuned)", "elastiq", "oracle"} <= {row["policy"] for row in others}
    assert (first["policy"], first["worst_week_cost_ratio"]) == ("threshold", 1.0)
    assert first["median_week_cost_ratio"] == 1.0
    own = next(row for row in others if row["policy"] == "learned")
    assert first["learned_difference_per_week"] == own["cost_difference_per_week"]
    assert [row["policy"] for row in found["rows"] if row["learned_is"] is None] == ["learned"]
    assert all(mean(row["cost_of_each"]) == pytest.approx(row["cost"]) for row in found["rows"])
    assert sum(first["week_costs"]) == pytest.approx(first["cost"], abs=0.1 * len(first["week_costs"]))


def test_the_benchmark_of_learning_asks_the_gate_on_nights_and_sees_what_comes(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned_gate, "PAST", timedelta(hours=24))
    monkeypatch.setattr(learned_gate, "AHEAD", timedelta(hours=12))
    arguments = ["--traces", str(traces), "--part", "gate", "--nights", "2"]
    found = json.loads(CliRunner().invoke(learned.main, arguments, catch_exceptions=False).stdout)["gate"]
    first, last = found["nights"]
    assert first["until"] < last["until"]
    for night in (first, last):
        assert night["then"].keys() == {"threshold", "learned"}
        for loop in ("closed", "open"):
            assert night[loop]["verdict"].keys() == {"threshold", "target_tracking", "queue_length"}
            # Hours are too little to tell anything by weeks.
            assert not night[loop]["passed"]
    costs = found["costs"]
    assert costs["gated_closed"] == costs["gated_open"] == costs["threshold"]
    assert costs["threshold"] == pytest.approx(first["then"]["threshold"] + last["then"]["threshold"])


@pytest.fixture
def few_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of half a day, and a small model of four days."""
    short = {name: replace(each, days=min(each.days, 0.5)) for name, each in learned_adversarial.EPISODES.items()}
    monkeypatch.setattr(learned_adversarial, "EPISODES", {name: short[name] for name in ("zeros", "clock set back")})
    monkeypatch.setattr(learned_adversarial, "LEVELS", (0.5, 0.95))
    monkeypatch.setattr(learned_adversarial, "ORDINARY_DAYS", 0.5)
    monkeypatch.setattr(learned_adversarial, "TRAINED_DAYS", 4)


@pytest.mark.usefixtures("few_days")
def test_the_benchmark_of_learning_plays_episodes_made_to_fool_it() -> None:
    arguments = ["--part", "adversarial", "--seeds", "1", "--dealings", "2"]
    found = json.loads(CliRunner().invoke(learned.main, arguments, catch_exceptions=False).stdout)["adversarial"]
    zeros, clock = found["zeros"], found["clock set back"]
    assert len(zeros["seeds"]) == 1
    assert zeros["seeds"][0]["threshold"]["sessions"] == 0
    assert zeros["seeds"][0]["ratio_episode"] is None
    assert zeros["worst_ratio_episode"] is None
    assert clock["worst_ratio"] == clock["seeds"][0]["ratio"]
    assert len(clock["seeds"][0]["ratio_of_each"]) == 2
    assert min(clock["seeds"][0]["ratio_of_each"]) <= clock["worst_ratio"] <= max(clock["seeds"][0]["ratio_of_each"])
    assert clock["seeds"][0]["threshold"]["stepped_back_ratio"] == 1.0
    assert clock["seeds"][0]["learned"]["sessions"] == clock["seeds"][0]["threshold"]["sessions"]


def test_episodes_that_fill_the_farm_are_played_with_more_dealings_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = learned_adversarial.EPISODES["flood of sessions"]
    assert flood.dealings(2) == 8
    assert learned_adversarial.EPISODES["zeros"].dealings(2) == 2
    few = replace(flood, more=lambda _days: [])
    monkeypatch.setattr(learned_adversarial, "EPISODES", {"few": replace(few, days=0.1)})
    monkeypatch.setattr(learned_adversarial, "LEVELS", (0.5, 0.95))
    monkeypatch.setattr(learned_adversarial, "ORDINARY_DAYS", 0.1)
    monkeypatch.setattr(learned_adversarial, "TRAINED_DAYS", 4)
    found = learned_adversarial.measure(1, 1, 1, lambda _share: None)
    assert len(found["few"]["seeds"][0]["ratio_of_each"]) == 4


def test_the_episodes_have_the_length_that_they_are_about() -> None:
    days = {name: each.days for name, each in learned_adversarial.EPISODES.items()}
    assert (days["holidays"], days["missing data"]) == (30, 7)
    flood = learned_adversarial.workload(learned_adversarial.EPISODES["flood of sessions"], 0)
    assert sum(each.run_s == 60.0 for each in flood.sessions) == 1000


def test_the_benchmark_of_learning_measures_decisions_memory_and_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_cost, "LEVELS", (0.5, 0.95))
    found = learned_cost.measure(rows=2000, decisions=20)
    decision, training = found["decision"], found["training"]
    assert 0 < decision["learned"]["median_ms"] <= decision["learned"]["worst_ms"]
    assert decision["more_peak_mib"] == decision["learned"]["peak_mib"] - decision["threshold"]["peak_mib"]
    assert training["minutes"] >= 2000
    assert training["cpu_s"] > 0


def test_decisions_are_measured_with_a_forecast(tmp_path: Path) -> None:
    """After four hours of loads."""
    model = tmp_path / "model.npz"
    np.savez(model, **a_forest().arrays())
    policy = learned_decisions.policy("learned", model)
    memory: Memory = {}
    *in_time, _late = learned_decisions.situations(learned_decisions.WARM_UP + 1, policy.history)
    for situation in in_time:
        window = replace(situation.window, memory=memory)
        memory = policy.remember(window, policy.decide(window))
    stands = standing(memory)
    assert stands is not None
    assert stands.forecast is not None


def test_a_soak_of_hours_with_faults_and_kills_breaks_no_law(tmp_path: Path) -> None:
    came = soak.soak(soak_plan.Plan(days=0.5, seed=4, hosts=soak_life.HOSTS), tmp_path)
    assert came["first_broken"] == []
    assert came["cycles"]["finished"] > 500
    assert came["transfers"] > 20
    assert came["kills"]["all"] >= 1
    assert came["announced_sessions"] >= 1


def test_a_soak_sees_workers_that_neither_the_policy_nor_an_alert_wants() -> None:
    facility, rules = Facility((a_host(),)), Rules(Threshold(workers_per_session=2, idle=MINUTE), GuardLimits())
    situation = Situation(proof_window([1.0], [0.0]), (observed(a_host()),), tunings=(a_tuning(),))
    boosted = decide(situation, facility, rules)
    untold = replace(boosted, situation=replace(situation, tunings=()))
    assert [*soak_laws.broken_by(boosted, facility, rules, timedelta(0))] == []
    assert [*soak_laws.broken_by(untold, facility, rules, timedelta(0))] == [
        "8 workers are wanted on hosts that have 0, policy and tunings want 2"
    ]


def test_a_storm_of_alerts_loses_none_and_begins_none_twice_and_who_is_refused_is_told_and_counted() -> None:
    came = storm.storm(limit=10, per_s=50, seconds=1)
    assert came["sent"] == sum(came["answers"].values())
    assert came["answers"].keys() <= {"200", "429", "503"}
    assert came["answers"]["200"] >= 10
    wrong = ("without_a_sentence", "lost", "twice", "uninvited", "not_counted")
    assert {name: came[name] for name in wrong} == dict.fromkeys(wrong, 0)
