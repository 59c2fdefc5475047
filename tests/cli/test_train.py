"""`autoscaler train`: from a past to a model on the shelf, and whether it acts."""

import json
import math
import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from click.testing import Result
from pytest_httpserver import HTTPServer

from autoscaler.cli.run import nightly_training
from autoscaler.cli.train_contest import contest_of, in_the_open_loop, on_the_site
from autoscaler.config.load import load
from autoscaler.learning.card import Score
from autoscaler.learning.shelf import Range
from autoscaler.service import backtest, training
from autoscaler.service.backtest import OfTraces
from autoscaler.service.minutes import Minutes, from_sessions
from autoscaler.service.models import shelf_beside
from autoscaler.service.refit import GENTLY
from autoscaler.service.training import has_passed
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import TraceError
from policies.learned import Learned
from tests.cli.history import PastSite
from tests.cli.site import Site, invoke

DAY_S = 86_400
SCENARIO = """
hosts:
  - name: host
    count: 2
    cores: 8
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    job_slots: 8
    proof: {dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 4}
    wn: {memory_floor: 572 MiB, memory_max: 6911 MiB}
proof: {workers_per_session: 2}
price: {wait_core_seconds: 8}
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two days are enough, and two quantiles."""
    for module in (training, backtest):
        monkeypatch.setattr(module, "LEAST_PAST", timedelta(days=2))
    monkeypatch.setattr(training, "LEVELS", (0.5, 0.95))


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Four days on which people come by day, for ten minutes each."""
    some = random.Random(4)
    times = sorted(some.uniform(8, 18) * 3600 + day * DAY_S for day in range(4) for _ in range(40))
    file = tmp_path / "sessions.csv"
    rows = "\n".join(f"{at:.0f},{some.expovariate(1 / 600):.0f}" for at in [*times, 4 * DAY_S - 1])
    file.write_text(f"# UnixStartTime: 1767571200\n# TimeZoneString: Europe/Rome\nsubmit_s,run_s\n{rows}\n")
    return file


def train(site: Site, *words: object) -> Result:
    return site.invoke("train", *words)


def trained(site: Site, *words: object) -> dict[str, Any]:
    found = train(site, *words, "--format", "json")
    assert found.exit_code == 0, found.stderr
    values: dict[str, Any] = json.loads(found.stdout)
    return values


@pytest.mark.usefixtures("small")
def test_a_model_of_a_trace_is_on_the_shelf_with_its_card_and_acts_when_that_is_asked_for(
    site: Site, trace: Path
) -> None:
    values = trained(site, "--proof-trace", trace, "--promote")
    shelf = shelf_beside(site.store)
    assert shelf.read(values["model"]["number"]).forest.levels == (0.5, 0.95)
    assert values["acts"]
    assert shelf.trail().acting == values["model"]["number"]
    card = values["model"]
    assert card["data"]["source"] == str(trace)
    assert card["data"]["zone"] == "Europe/Rome"
    assert [each["policy"] for each in card["backtest"]["scores"]] == [
        "learned",
        "threshold",
        "target_tracking",
        "queue_length",
    ]
    assert set(card["importance"]) == set(card["features"])


@pytest.mark.usefixtures("small")
def test_a_model_that_was_not_shown_to_be_better_does_not_act_and_a_table_says_so(site: Site, trace: Path) -> None:
    found = train(site, "--proof-trace", trace)
    assert found.exit_code == 0
    told = (
        "learned: cannot tell against threshold, target_tracking and queue_length "
        "(too few weeks for an interval: 1, at least 4 are needed)"
    )
    assert told in " ".join(found.stdout.split())
    assert "model 1 does not act: autoscaler model promote 1 lets it" in found.stdout
    assert shelf_beside(site.store).trail().acting is None


def test_a_shadow_that_takes_a_model_is_judged_at_its_own_prices(site: Site) -> None:
    site.text += "\nshadows: {ahead: {name: learned, wait_core_seconds: 2, idle_core_seconds: 0.2}}\n"
    site.write()
    loaded = load(site.config)
    terms = contest_of(loaded, in_the_open_loop(loaded)).terms
    assert (terms.wait_core_s, terms.idle_core_s) == (2, 0.2)


def test_what_is_to_be_beaten_has_all_parameters_of_the_policy_that_it_has_too(site: Site) -> None:
    site.replace("name: threshold,", "name: threshold, grow_running: 2, shrink_load: 2,")
    loaded = load(site.config)
    assert contest_of(loaded, in_the_open_loop(loaded)).others["threshold"] == loaded.policy


@pytest.mark.usefixtures("small")
def test_who_came_in_excluded_time_does_not_come_on_the_facility_model(trace: Path) -> None:
    sessions = read_sessions(trace, queue=None, workers=2)
    minutes = from_sessions(sessions.content, sessions.start, sessions.timezone, "trace")
    noon = sessions.start + timedelta(days=3, hours=12)
    known = minutes.without([Range(noon, noon + timedelta(hours=3))])
    come = OfTraces(sessions, None)._of_known_time(known)  # type: ignore[arg-type]
    gone = {each.submit_s // 3600 for each in sessions.content} - {each.submit_s // 3600 for each in come}
    assert gone == {3 * 24 + 12, 3 * 24 + 13, 3 * 24 + 14}


@pytest.mark.usefixtures("small")
def test_without_a_session_in_known_time_the_facility_model_says_so(trace: Path) -> None:
    sessions = read_sessions(trace, queue=None, workers=2)
    minutes = from_sessions(sessions.content, sessions.start, sessions.timezone, "trace")
    nothing = minutes.without([Range(minutes.start, minutes.end)])
    with pytest.raises(TraceError, match="has no session in the time that is known"):
        OfTraces(sessions, None).workload(nothing, 0)  # type: ignore[arg-type]


@pytest.mark.usefixtures("small")
def test_beside_batch_jobs_a_model_is_judged_on_the_facility_model(site: Site, trace: Path, tmp_path: Path) -> None:
    jobs, scenario = tmp_path / "jobs.csv", tmp_path / "scenario.yaml"
    rows = "\n".join(f"{hour * 3600},5000,1,600" for hour in range(4 * 24))
    jobs.write_text(
        f"# UnixStartTime: 1767571200\n# TimeZoneString: Europe/Rome\nsubmit_s,run_s,cpu_ratio,memory_mib\n{rows}\n"
    )
    scenario.write_text(SCENARIO)
    values = trained(site, "--proof-trace", trace, "--wn-trace", jobs, "--scenario", scenario)
    backtest = values["model"]["backtest"]
    assert backtest["loop"] == "closed"
    threshold = backtest["scores"][1]
    assert (threshold["policy"], threshold["verdict"]) == ("threshold", "cannot tell")
    assert 0 < threshold["missed_arrivals_ratio"] < 1
    assert threshold["cost_per_week"] > 0


@pytest.mark.parametrize(
    "words",
    [
        ("--wn-trace", "jobs.csv"),
        ("--proof-trace", "sessions.csv", "--wn-trace", "jobs.csv"),
        ("--proof-trace", "sessions.csv", "--scenario", "scenario.yaml"),
        ("--wn-trace", "jobs.csv", "--scenario", "scenario.yaml"),
    ],
)
def test_batch_jobs_a_scenario_and_sessions_go_together(site: Site, words: tuple[str, ...]) -> None:
    found = train(site, *words)
    assert found.exit_code == 2
    assert "--wn-trace and --scenario go together, and with --proof-trace" in found.stderr


@pytest.mark.usefixtures("small")
def test_a_scenario_that_is_none_is_told_before_anything_is_trained(site: Site, trace: Path, tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    found = train(site, "--proof-trace", trace, "--wn-trace", trace, "--scenario", missing)
    assert found.exit_code == 1
    assert str(missing) in found.stderr


@pytest.mark.usefixtures("small")
def test_a_model_of_prometheus_history_learns_from_its_minutes_without_what_is_excluded(
    site: Site, httpserver: HTTPServer
) -> None:
    past = PastSite(site, httpserver)
    past.load.queued = lambda at: float(at.hour in range(9, 17) and math.sin(at.timestamp() / 900) > 0)
    begin = past.end - timedelta(days=2)
    shelf_beside(site.store).exclude(begin, begin + timedelta(hours=1))
    data = trained(site, "--since", "3d")["model"]["data"]
    assert (data["minutes"], data["gap_minutes"]) == (3 * 1440, 60)
    assert data["source"] == httpserver.url_for("").rstrip("/")


@pytest.mark.usefixtures("small")
def test_a_model_of_prometheus_history_is_judged_on_its_own_site(site: Site, httpserver: HTTPServer) -> None:
    past = PastSite(site, httpserver)
    past.live()
    past.load.queued = lambda at: float(at.hour in range(9, 17) and math.sin(at.timestamp() / 900) > 0)
    past.load.jobs = 6.0
    backtest = trained(site, "--since", "3d")["model"]["backtest"]
    assert backtest["loop"] == "closed"
    assert backtest["scores"][1]["policy"] == "threshold"
    assert backtest["scores"][1]["missed_arrivals_ratio"] > 0


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("lived", "jobs", "why"),
    [
        (True, None, "how many batch jobs ran (wn_running_jobs) is unknown for more than half of the judged time"),
        (False, 6.0, "no controller has stored a reading of one of these hosts, with its cores, in the last day"),
    ],
)
def test_a_site_of_which_too_little_was_seen_is_judged_in_the_open_loop_and_told_so(
    site: Site, httpserver: HTTPServer, lived: bool, jobs: float | None, why: str
) -> None:
    past = PastSite(site, httpserver)
    if lived:
        past.live(until=1)
    past.load.jobs = jobs
    past.load.queued = lambda at: float(math.sin(at.timestamp() / 900) > 0)
    found = train(site, "--since", "3d", "--format", "json")
    backtest = json.loads(found.stdout)["model"]["backtest"]
    assert backtest["loop"] == "open"
    told = f"judged in the open loop, where batch jobs and full machines are not known: {why}"
    assert told in found.stderr
    assert backtest["notes"] == [told]


class OfAnotherSignal(Learned):
    """A site's own policy, which looks at something that the facility model does not have."""

    heeds: ClassVar[tuple[str, ...]] = (*Learned.heeds, "gpu_queue_length")


def test_a_policy_with_a_signal_that_the_facility_model_lacks_is_judged_in_the_open_loop_and_told_so(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = replace(load(site.config), policy=OfAnotherSignal())
    minutes = Minutes("here", datetime(2026, 3, 2, tzinfo=UTC), UTC, np.zeros(10), np.zeros(10), np.zeros(10))
    assert on_the_site(loaded, minutes).loop == "open"
    assert "the policy looks at gpu_queue_length, which the facility model does not have" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_a_model_of_a_past_too_long_ago_is_told_to_have_no_say(site: Site, trace: Path) -> None:
    site.replace("name: threshold,", "name: learned, model_max_age: 30d,")
    told = "older than model_max_age, which is 30d, so that its forecasts will have no say"
    assert told in train(site, "--proof-trace", trace).stderr
    assert told in invoke("model", "promote", "1", "--config", site.config).stderr


@pytest.mark.usefixtures("small")
def test_a_model_of_a_past_too_long_ago_does_not_act_by_itself_however_good_it_was(
    site: Site, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "has_passed", lambda _others: True)
    assert trained(site, "--proof-trace", trace)["acts"]
    site.replace("name: threshold,", "name: learned, model_max_age: 30d,")
    again = trained(site, "--proof-trace", trace)
    assert (again["acts"], again["model"]["backtest"]["passed"]) == (False, True)
    assert shelf_beside(site.store).trail().acting == 1


def test_an_unknown_time_zone_of_a_trace_is_told(site: Site, trace: Path) -> None:
    trace.write_text(trace.read_text().replace("Europe/Rome", "Europe/Atlantis"))
    told = f"{trace}: its time zone 'Europe/Atlantis' is not known here: its hours are taken as UTC"
    assert told in train(site, "--proof-trace", trace).stderr


def test_an_excluded_past_is_named_as_the_cause(site: Site, trace: Path) -> None:
    shelf_beside(site.store).exclude(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    found = train(site, "--proof-trace", trace)
    assert found.exit_code == 3
    assert "no minute with a known load; what is excluded does not count: autoscaler model list" in found.stderr


def test_too_little_of_a_past_is_a_sentence_and_exit_code_3(site: Site, trace: Path) -> None:
    found = train(site, "--proof-trace", trace)
    assert found.exit_code == 3
    assert "days with a known load, at least 28d are needed to train a model" in found.stderr
    assert not (site.folder / "models").exists()


def test_a_past_of_which_nothing_is_known_is_exit_code_3(site: Site, httpserver: HTTPServer) -> None:
    past = PastSite(site, httpserver)
    past.load.queued = lambda _at: None
    found = train(site, "--since", "1d")
    assert found.exit_code == 3
    assert "no minute with a known load" in found.stderr


def test_no_prometheus_is_exit_code_3(site: Site, httpserver: HTTPServer) -> None:
    PastSite(site, httpserver)
    site.replace(httpserver.url_for("").rstrip("/"), "http://127.0.0.1:9")
    found = train(site)
    assert found.exit_code == 3
    assert "http://127.0.0.1:9 cannot be reached" in found.stderr


def test_a_source_without_a_history_is_exit_code_1(site: Site) -> None:
    found = train(site)
    assert found.exit_code == 1
    assert "keeps no history to learn from: train needs kind: prometheus, or --proof-trace" in found.stderr


def test_a_trace_that_cannot_be_read_is_exit_code_1(site: Site) -> None:
    found = train(site, "--proof-trace", site.folder / "nowhere.swf")
    assert found.exit_code == 1
    assert "nowhere.swf" in found.stderr


def test_a_queue_without_a_trace_is_exit_code_2(site: Site) -> None:
    assert train(site, "--proof-queue", 1).exit_code == 2


def test_excluded_times_that_cannot_be_read_are_exit_code_4_before_any_work(site: Site, trace: Path) -> None:
    shelf_beside(site.store).exclude(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    (site.folder / "models" / "excluded.json").write_text("[")
    found = train(site, "--proof-trace", trace)
    assert found.exit_code == 4
    assert "excluded.json: cannot be understood" in found.stderr


def scores(*verdicts: str) -> list[Score]:
    return [Score("other", 0.1, 1.0, 10.0, 5.0, verdict) for verdict in verdicts]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        (("better", "better", "better"), True),
        (("better", "cannot tell", "better"), True),
        (("cannot tell", "better", "better"), False),
        (("better", "worse", "better"), False),
        (("worse", "better", "better"), False),
    ],
)
def test_a_backtest_is_passed_by_what_is_better_than_the_first_and_worse_than_none(
    verdicts: tuple[str, ...], passed: bool
) -> None:
    assert has_passed(scores(*verdicts)) is passed


def test_a_learned_policy_with_prometheus_is_trained_each_night_by_this_very_command(
    site: Site, httpserver: HTTPServer
) -> None:
    past = PastSite(site, httpserver)
    past.load.queued = lambda at: 1.0 if at > past.start else None
    site.replace("name: threshold,", "name: learned,")
    site.text += "\nlearning: {since: 28d}\n"
    site.write()
    refit = nightly_training(load(site.config), site.config)
    assert refit is not None
    assert refit.at == time(3, 30)
    # Not as gently as at night: a busy machine would leave it no time at all.
    command = refit.command[len(GENTLY) :]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 3, found.stderr
    assert "at least 28d are needed to train a model" in found.stderr


@pytest.mark.parametrize("change", ["name: threshold,", "refit_at: null", "kind: scrape"])
def test_nothing_is_trained_where_it_is_not_wanted_or_cannot_be(
    site: Site, httpserver: HTTPServer, change: str
) -> None:
    if change != "kind: scrape":
        PastSite(site, httpserver)
    if change != "name: threshold,":
        site.replace("name: threshold,", "name: learned,")
    if change == "refit_at: null":
        site.text += "\nlearning: {refit_at: null}\n"
        site.write()
    assert nightly_training(load(site.config), site.config) is None
