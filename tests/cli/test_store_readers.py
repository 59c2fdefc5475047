"""`autoscaler status`, `history` and `explain`: what the store tells."""

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autoscaler.learning.shelf import versions_here
from autoscaler.model import Decision, Memory, Quiet
from autoscaler.service.models import shelf_beside
from autoscaler.store.sql import SqlStore
from tests.cli.site import COMMAND, Site, invoke
from tests.learning.models import NOW, a_draft, a_forest

# What the learned policy remembers when its forecast has a say.
LEARNED: Memory = {
    "minute": (29_657_520.0,),
    "loads": (1.0, 2.0),
    "forecasts": (29_657_520.0, 1.0, 3.5, 3.0),
    "alpha": (0.04, 0.05),
    "judged": (29_657_510.0, 0.5, 2.5, 2.25, 2.0),
    "who": (1.0, 29_657_400.0, 0.0, None),
}


def fail(site: Site, after: timedelta) -> None:
    """A cycle that failed so long after the newest decision."""
    with closing(SqlStore(site.store)) as store:
        newest = store.newest()
        assert newest is not None
        store.record_failure(newest.at + after, "ZeroDivisionError: a surprise")


READERS = [("status",), ("history",), ("explain", "host-1")]


@pytest.fixture
def grown(site: Site) -> Site:
    """A site whose host grew to four workers in its first cycle; there was a second."""
    site.exporter.queued = 1
    site.run(cycles=2)
    # Test driver hosts begin anew with each process, so a cycle is late at once unless it is due in an hour.
    site.replace("interval: 100ms", "interval: 1h")
    return site


@pytest.mark.parametrize("command", READERS)
def test_a_missing_store_is_exit_code_4_and_says_what_to_do(site: Site, command: tuple[str, ...]) -> None:
    result = site.invoke(*command)
    assert result.exit_code == 4
    assert "does not exist yet: has `autoscaler run` run?" in result.stderr
    assert not site.store.exists()


@pytest.mark.parametrize("command", [("status",), ("explain", "host-1")])
def test_an_empty_store_is_exit_code_4(site: Site, command: tuple[str, ...]) -> None:
    site.make_empty_store()
    result = site.invoke(*command)
    assert result.exit_code == 4
    assert "holds no decision yet" in result.stderr


@pytest.mark.parametrize("command", READERS)
def test_a_file_that_is_no_store_is_exit_code_4(site: Site, command: tuple[str, ...]) -> None:
    site.store.write_text("no store" * 1000)
    assert site.invoke(*command).exit_code == 4


@pytest.mark.parametrize("command", READERS)
def test_a_decision_that_cannot_be_read_is_exit_code_4(site: Site, command: tuple[str, ...]) -> None:
    site.exporter.queued = 1
    site.run(cycles=1)
    with sqlite3.connect(site.store) as connection:
        connection.execute("UPDATE decisions SET body = '{}'")
    connection.close()
    result = site.invoke(*command)
    assert result.exit_code == 4
    assert result.stderr == (
        f"Error: store {site.store}: decision 1 cannot be read: "
        "it is damaged, or another version of this program wrote it\n"
    )


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("name", ["[/oops]", "[red]x", ":warning:"])
def test_names_are_shown_as_they_are(site: Site, command: tuple[str, ...], name: str) -> None:
    site.replace("name: host-1", f"name: '{name}'")
    site.exporter.queued = 1
    site.run(cycles=1)
    result = site.invoke(command[0], *(name for _ in command[1:]))
    assert name in result.stdout


def change_newest(site: Site, change: Callable[[Decision], Decision]) -> None:
    """Add a decision, which is the newest one with a change."""
    with closing(SqlStore(site.store)) as store:
        newest = store.latest()
        assert newest is not None
        store.record_decision(change(newest.decision))


class TestStatus:
    """How the facility stands."""

    def test_shows_both_domains_and_the_workers(self, grown: Site) -> None:
        result = grown.invoke("status")
        assert result.exit_code == 0
        for words in ("host-1", "proof", "wn", "MiB", "decision 2 at "):
            assert words in result.stdout
        # On a busy machine the second cycle comes before the first one's transfer is over.
        assert "ready" in result.stdout or "moving" in result.stdout

    def test_json_has_state_workers_memory_and_change_of_each_host(self, grown: Site) -> None:
        (host,) = json.loads(grown.invoke("status", "--format", "json").stdout)["hosts"]
        assert host["host"] == "host-1"
        assert host.keys() == {
            *("host", "state", "problem", "workers", "wanted", "granted", "reason", "change", "memory_mib", "domains")
        }

    def test_json_is_not_late_when_it_is_not(self, grown: Site) -> None:
        values = json.loads(grown.invoke("status", "--format", "json").stdout)
        assert (values["late"], values["number"]) == (False, 2)

    def test_a_controller_that_is_late_is_exit_code_3_and_told(self, grown: Site) -> None:
        grown.replace("interval: 1h", "interval: 1us")
        result = grown.invoke("status")
        assert result.exit_code == 3
        assert "the controller is late: a cycle is due every 1us; is it running?" in result.stdout

    def test_json_of_a_late_controller_says_so(self, grown: Site) -> None:
        grown.replace("interval: 1h", "interval: 1us")
        result = grown.invoke("status", "--format", "json")
        assert result.exit_code == 3
        assert json.loads(result.stdout)["late"] is True

    def test_an_unusable_host_is_exit_code_3_and_shown_with_its_problem(self, two_hosts: Site) -> None:
        (two_hosts.folder / "host-1.xml").unlink()
        two_hosts.run(cycles=1)
        two_hosts.replace("interval: 100ms", "interval: 1h")
        result = two_hosts.invoke("status", "--format", "json")
        assert result.exit_code == 3
        one, two = json.loads(result.stdout)["hosts"]
        assert (one["state"], two["state"]) == ("unusable", "ready")
        assert "host-1.xml" in one["problem"]

    def test_an_unknown_signal_of_the_policy_is_exit_code_3_and_told(self, site: Site) -> None:
        site.exporter.up = 0
        site.run(cycles=1)
        site.replace("interval: 100ms", "interval: 1h")
        result = site.invoke("status")
        assert result.exit_code == 3
        assert "unknown: proof_queued_sessions is unknown: an exporter of job proof cannot read" in result.stdout

    def test_a_stale_signal_of_the_policy_is_exit_code_3_and_in_json(self, site: Site) -> None:
        site.exporter.age_s = 3600
        site.run(cycles=1)
        site.replace("interval: 100ms", "interval: 1h")
        result = site.invoke("status", "--format", "json")
        assert result.exit_code == 3
        assert re.match(r"proof_queued_sessions is 36\d\d s old", json.loads(result.stdout)["unknown"])

    def test_an_unknown_signal_that_the_policy_does_not_use_is_no_fault(self, site: Site) -> None:
        site.exporter.up = 0
        site.replace("{name: threshold, workers_per_session: 4, idle: 5m}", "{name: static, workers: 2}")
        site.run(cycles=1)
        site.replace("interval: 100ms", "interval: 1h")
        assert site.invoke("status").exit_code == 0

    def test_an_error_of_the_cycle_is_exit_code_3_and_told(self, grown: Site) -> None:
        change_newest(grown, lambda decision: replace(decision, error="policy failed: ValueError: oops"))
        result = grown.invoke("status")
        assert result.exit_code == 3
        assert "error: policy failed: ValueError: oops" in result.stdout

    def test_an_error_of_the_cycle_is_in_json(self, grown: Site) -> None:
        change_newest(grown, lambda decision: replace(decision, error="policy failed: ValueError: oops"))
        assert json.loads(grown.invoke("status", "--format", "json").stdout)["error"].endswith("oops")

    def test_cycles_that_failed_since_are_exit_code_3_and_told(self, grown: Site) -> None:
        fail(grown, timedelta(seconds=1))
        result = grown.invoke("status")
        assert result.exit_code == 3
        assert "cycles fail, the newest at " in result.stdout
        assert "ZeroDivisionError: a surprise" in result.stdout

    def test_cycles_that_failed_since_are_in_json(self, grown: Site) -> None:
        fail(grown, timedelta(seconds=1))
        assert "a surprise" in json.loads(grown.invoke("status", "--format", "json").stdout)["failing"]

    def test_a_cycle_that_failed_before_is_past(self, grown: Site) -> None:
        fail(grown, -timedelta(seconds=1))
        assert grown.invoke("status").exit_code == 0

    @pytest.mark.parametrize("policy", ["safe split", "SafeSplit(because='10 cycles failed in a row')"])
    def test_the_safe_split_is_exit_code_3_and_told(self, grown: Site, policy: str) -> None:
        fail(grown, -timedelta(seconds=1))
        change_newest(grown, lambda decision: replace(decision, policy=policy))
        result = grown.invoke("status")
        assert result.exit_code == 3
        assert "cycles fail, the newest at " in result.stdout

    def test_a_walk_for_unknown_signals_is_told(self, grown: Site) -> None:
        assert json.loads(grown.invoke("status", "--format", "json").stdout)["safe_split"] is None
        change_newest(grown, lambda decision: replace(decision, safe_split="safe split, for long"))
        assert "hosts are walked: safe split, for long" in grown.invoke("status").stdout
        assert json.loads(grown.invoke("status", "--format", "json").stdout)["safe_split"] == "safe split, for long"

    def test_json_tells_how_a_learned_policy_stands(self, grown: Site) -> None:
        assert json.loads(grown.invoke("status", "--format", "json").stdout)["learned"] is None
        change_newest(grown, lambda decision: replace(decision, memory=LEARNED))
        learned = json.loads(grown.invoke("status", "--format", "json").stdout)["learned"]
        assert (learned["decides"], learned["realised_sessions"]) == ("forecast", 2.0)

    def test_says_which_model_is_to_act_and_why_it_cannot(self, grown: Site) -> None:
        assert json.loads(grown.invoke("status", "--format", "json").stdout)["model"] is None
        grown.replace("name: threshold,", "name: learned,")
        assert "no model acts: the learned policy decides as the threshold rule does" in grown.invoke("status").stdout
        shelf = shelf_beside(grown.store)
        shelf.promote(shelf.add(a_draft(versions=versions_here()), a_forest(), NOW).number)
        assert "model 1 is to act, it knows the load until 2026-" in " ".join(grown.invoke("status").stdout.split())
        (shelf.folder / "0001" / "arrays.npz").write_bytes(b"damaged")
        model = json.loads(grown.invoke("status", "--format", "json").stdout)["model"]
        assert model["acting"] == 1
        assert "arrays.npz: is missing, or was altered since it was made" in model["problem"]
        assert "the model that is to act cannot be used: " in grown.invoke("status").stdout

    def test_a_decision_of_the_future_is_late(self, grown: Site) -> None:
        change_newest(grown, lambda decision: replace(decision, at=decision.at + timedelta(hours=2)))
        result = grown.invoke("status")
        assert result.exit_code == 3
        assert "the last cycle lies in the future: was a clock set back?" in result.stdout

    def test_a_decision_of_a_clock_a_little_ahead_is_not_late(self, grown: Site) -> None:
        change_newest(grown, lambda decision: replace(decision, at=datetime.now(UTC) + timedelta(seconds=4)))
        assert grown.invoke("status").exit_code == 0


class TestHistory:
    """What was done."""

    def test_shows_what_was_changed_and_how_it_ended(self, grown: Site) -> None:
        result = grown.invoke("history")
        assert result.exit_code == 0
        for words in ("host-1", "0 -> 4", "done: reached and read back"):
            assert words in result.stdout

    def test_json_is_one_decision_per_line(self, grown: Site) -> None:
        lines = grown.invoke("history", "--all", "--format", "json").stdout.splitlines()
        assert [json.loads(line)["number"] for line in lines] == [1, 2]

    def test_json_has_the_outcomes(self, grown: Site) -> None:
        (line,) = grown.invoke("history", "--format", "json").stdout.splitlines()
        assert [outcome["result"] for outcome in json.loads(line)["outcomes"]] == ["done"]

    def test_is_limited_to_the_newest(self, grown: Site) -> None:
        (line,) = grown.invoke("history", "--all", "--limit", 1, "--format", "json").stdout.splitlines()
        assert json.loads(line)["number"] == 2

    def test_of_nothing_is_told_in_words(self, site: Site) -> None:
        site.make_empty_store()
        assert site.invoke("history").stdout == "nothing was changed so far\n"
        assert site.invoke("history", "--all").stdout == "no decision was made so far\n"

    def test_of_nothing_is_no_line_of_json(self, site: Site) -> None:
        site.make_empty_store()
        result = site.invoke("history", "--format", "json")
        assert (result.exit_code, result.stdout) == (0, "")

    @pytest.mark.parametrize("limit", [0, -1, 10**30, "many"])
    def test_a_limit_that_makes_no_sense_is_exit_code_2(self, site: Site, limit: object) -> None:
        assert site.invoke("history", "--limit", limit).exit_code == 2

    def test_can_be_piped_into_a_program_that_stops_reading(self, grown: Site) -> None:
        words = f"{COMMAND} history --all --format json --config {grown.config} | head -n 1"
        done = subprocess.run(["bash", "-c", words], capture_output=True, text=True, check=False)
        assert json.loads(done.stdout)["number"] == 1
        assert done.stderr == ""


class TestShadows:
    """The acting policy and its shadows beside each other."""

    @pytest.fixture
    def watched(self, site: Site) -> Site:
        site.replace("guards:", "shadows: {lavish: {name: static, workers: 8}}\nguards:")
        site.exporter.queued = 1
        site.run(cycles=2)
        return site

    def test_are_scored_with_their_parameters(self, watched: Site) -> None:
        found = json.loads(watched.invoke("shadows", "--format", "json").stdout)
        acting, lavish = found["policies"]
        assert (found["workers_per_session"], found["unreadable"]) == (4, 0)
        assert (acting["name"], lavish["name"], lavish["policy"]) == ("acting", "lavish", "static (workers: 8)")
        assert lavish["errors"] == acting["holds"] == 0

    def test_have_a_table(self, watched: Site) -> None:
        told = watched.invoke("shadows").stdout
        assert all(words in told for words in ("Missed", "Spare workers", "acting", "lavish", "static (workers: 8)"))

    def test_of_a_time_without_decisions_are_exit_code_4(self, watched: Site) -> None:
        with sqlite3.connect(watched.store) as connection:
            connection.execute("UPDATE decisions SET at_s = at_s - 864000")
        result = watched.invoke("shadows", "--since", "7d")
        assert (result.exit_code, "holds no decision of the last 7d" in result.stderr) == (4, True)


def test_the_status_after_a_change_is_what_was_read_back(site: Site) -> None:
    """3740 = 572 + 4 x 792 MiB."""
    site.exporter.queued = 1
    site.run(cycles=1)
    (host,) = json.loads(site.invoke("status", "--format", "json").stdout)["hosts"]
    assert host["memory_mib"] == {"proof": 3740, "wn": 3743}


class TestExplain:
    """Why a host got what it got."""

    def at(self, site: Site, number: int) -> str:
        store = SqlStore(site.store, read_only=True)
        at = store.record(number).decision.at
        store.close()
        return at.isoformat()

    def test_tells_inputs_demand_steps_and_outcome(self, grown: Site) -> None:
        result = grown.invoke("explain", "host-1", "--at", self.at(grown, 1))
        assert result.exit_code == 0
        assert re.search(r"^input: proof_queued_sessions = 1, \d+s old$", result.stdout, re.MULTILINE)
        assert "demand: at least 4 workers in the facility: 1 queued" in result.stdout
        assert "host-1: has 0 workers, wanted 4 workers, granted 4 workers" in result.stdout
        assert "step: shrink wn memory 6911 to 3743 MiB" in result.stdout
        assert "step: grow proof memory 572 to 3740 MiB" in result.stdout
        assert "change: done: reached and read back" in result.stdout

    def test_tells_what_shadow_policies_would_have_done(self, site: Site) -> None:
        site.replace("guards:", "shadows: {still: {name: hold}, lavish: {name: static, workers: 8}}\nguards:")
        site.run(cycles=1)
        told = site.invoke("explain", "host-1").stdout
        assert "shadow still: hold: policy hold keeps everything as it is\n" in told
        assert "shadow lavish: 8 workers: always 8 workers\n" in told

    def test_tells_how_a_learned_policy_stands(self, grown: Site) -> None:
        change_newest(grown, lambda decision: replace(decision, memory=LEARNED))
        told = grown.invoke("explain", "host-1").stdout
        assert "learned: the forecast with the threshold rule decides since 2026-05-22" in told
        assert "learned: forecast 1.0 to 3.5 sessions\n" in told

    @pytest.mark.parametrize(
        ("model", "words"), [(None, ""), ("none", " without a model"), ("3 ab12", " with model 3 ab12")]
    )
    def test_tells_the_policy_as_the_configuration_has_it_and_its_model(
        self, grown: Site, model: str | None, words: str
    ) -> None:
        change_newest(grown, lambda decision: replace(decision, model=model))
        (first, *_) = grown.invoke("explain", "host-1").stdout.splitlines()
        by = (
            f", by threshold (workers_per_session: 4, grow_queued: 0, grow_running: 0, shrink_load: 0, idle: 5m){words}"
        )
        assert first.endswith(by)
        assert by in grown.invoke("status").stdout.replace("\n", "")

    def test_tells_since_when_signals_are_unknown_and_proof_is_quiet(self, grown: Site) -> None:
        def walked(decision: Decision) -> Decision:
            at = decision.at
            host = decision.hosts[0].host
            quiet = (Quiet(host, at, at, 0.0),)
            situation = replace(decision.situation, unknown_since={"acting": at, "next": at}, quiet=quiet)
            return replace(decision, situation=situation, safe_split="safe split, for long")

        change_newest(grown, walked)
        told = grown.invoke("explain", "host-1").stdout
        assert "input: signals of the policy have been unknown since " in told
        assert "input: signals of the canary next have been unknown since " in told
        assert "input: PROOF has done next to nothing on host-1 since " in told
        assert "hosts are walked: safe split, for long" in told

    def test_without_a_time_is_of_the_newest_decision(self, grown: Site) -> None:
        assert grown.invoke("explain", "host-1").stdout.startswith("decision 2 at ")

    def test_of_a_time_is_of_the_decision_in_force_then(self, grown: Site) -> None:
        assert grown.invoke("explain", "host-1", "--at", self.at(grown, 1)).stdout.startswith("decision 1 at ")

    def test_of_a_time_copied_from_a_table_is_of_that_tables_decision(self, grown: Site) -> None:
        """Tables show whole seconds, decisions are made in between."""
        whole = self.at(grown, 2).partition(".")[0] + "+00:00"
        assert grown.invoke("explain", "host-1", "--at", whole).stdout.startswith("decision 2 at ")

    def test_of_a_time_before_the_first_decision_is_exit_code_4(self, grown: Site) -> None:
        result = grown.invoke("explain", "host-1", "--at", "1969-07-20T20:17")
        assert result.exit_code == 4
        assert "holds no decision at or before 1969-07-20" in result.stderr

    def test_a_time_without_offset_is_local(self, grown: Site) -> None:
        later = (datetime.now(UTC).astimezone() + timedelta(minutes=1)).replace(tzinfo=None)
        assert grown.invoke("explain", "host-1", "--at", later.isoformat()).exit_code == 0

    def test_an_unknown_host_is_exit_code_4_and_the_known_ones_are_named(self, grown: Site) -> None:
        result = grown.invoke("explain", "host-9")
        assert result.exit_code == 4
        assert "knows no host 'host-9'; configured are host-1" in result.stderr

    def test_a_cut_is_told_with_its_guard(self, site: Site) -> None:
        site.exporter.queued, site.exporter.age_s = 1, 3600
        site.run(cycles=1)
        assert "  fresh cut 4 to 0: proof_queued_sessions is 36" in site.invoke("explain", "host-1").stdout

    def test_an_unusable_host_is_told_with_its_problem(self, site: Site) -> None:
        (site.folder / "host-1.xml").unlink()
        site.run(cycles=1)
        result = site.invoke("explain", "host-1")
        assert result.exit_code == 0
        assert "input: host-1 is unusable: host-1 (test://" in result.stdout
        assert "host-1: has unknown, wanted unknown, granted unknown" in result.stdout

    @pytest.mark.parametrize(
        "time", ["", "now", "-1", "2026", "25:00", "0001-01-01", "0001-01-01T00:00+14:00", "2026-11-23T12:00+99:00"]
    )
    def test_a_bad_time_is_exit_code_2_with_an_example(self, grown: Site, time: str) -> None:
        result = grown.invoke("explain", "host-1", "--at", time)
        assert result.exit_code == 2
        assert "is not a time such as 2026-11-23T14:30" in result.stderr


def test_the_configuration_can_be_named_by_the_environment(grown: Site) -> None:
    result = invoke("status", env={"AUTOSCALER_CONFIG": str(grown.config)})
    assert result.exit_code == 0


def test_the_default_configuration_is_the_installed_one() -> None:
    result = invoke("status")
    assert result.exit_code == 1
    assert "/etc/vaf-autoscaler/autoscaler.yaml: cannot be read" in result.stderr
