"""`autoscaler dry-run --since`: a policy over Prometheus's history, beside what was really done."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from click.testing import Result
from pytest_httpserver import HTTPServer

from tests.cli.history import MINUTE, PastSite
from tests.cli.site import Site
from tests.core.situations import an_override
from tests.sources.targets import refused_address


@pytest.fixture
def past(site: Site, httpserver: HTTPServer) -> PastSite:
    """One host; its controller has run all the time."""
    past = PastSite(site, httpserver)
    past.live()
    return past


def replayed(past: PastSite, *arguments: object) -> Result:
    return past.site.invoke("dry-run", "--since", "1h", *arguments)


def values(past: PastSite, *arguments: object) -> dict[str, Any]:
    return json.loads(replayed(past, "--format", "json", *arguments).stdout)


def test_the_policy_in_force_did_what_it_would_do(past: PastSite) -> None:
    result = replayed(past)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "moments in which autoscaler.yaml and really done differ: none" in result.stdout
    assert result.stdout.endswith("nothing was changed\n")


def test_a_growth_that_happened_is_counted_on_both_sides(past: PastSite) -> None:
    """Two sessions with four workers each wait for five minutes, and are kept for five more and the last minute."""
    found = values(past)
    this, done = found["totals"]["this"], found["totals"]["done"]
    assert this["hosts"] == done["hosts"]
    assert (this["changes"], this["moved_mib"]) == (2, 2 * 8 * 792)
    assert this["awake_s"] == 10 * 60
    assert this["granted_worker_s"] == 8 * this["awake_s"]
    assert (this["known_s"], done["known_s"], found["cycles"]) == (3600, 3600, 60)


def test_what_a_person_had_ordered_is_heeded_and_that_is_said(site: Site, httpserver: HTTPServer) -> None:
    past = PastSite(site, httpserver)
    past.live(override=an_override(3, until=past.start + 10 * MINUTE))
    result = replayed(past)
    assert "moments in which autoscaler.yaml and really done differ: none" in result.stdout
    told = "what people ordered and alerts changed is heeded as it was: something was in force for 10m"
    assert told in result.stdout
    assert values(past)["ordered_s"] == 600


def test_another_number_of_workers_is_a_moment_with_both_reasons(past: PastSite) -> None:
    past.site.replace("workers_per_session: 4", "workers_per_session: 3")
    (moment,) = values(past)["moments"]
    assert moment["host"] == "host-1"
    assert moment["from"] == (past.start + 20 * MINUTE).isoformat()
    assert (moment["this"]["workers"], moment["done"]["workers"]) == (6, 8)
    assert moment["this"]["reason"].startswith("grow: 2 queued")
    table = replayed(past).stdout
    assert "differ: 1" in table
    assert "grow: 2 queued" in table


def test_a_controller_that_decides_at_other_seconds_differs_for_one_cycle_and_that_is_said(
    site: Site, httpserver: HTTPServer
) -> None:
    past = PastSite(site, httpserver)
    past.live(late=timedelta(seconds=20))
    result = replayed(past)
    assert "moments in which autoscaler.yaml and really done differ: 2" in result.stdout
    assert "2 of them last one cycle" in result.stdout
    assert result.exit_code == 0


def test_a_limit_shows_the_newest_moments_and_how_many_more_there_are(past: PastSite) -> None:
    past.site.replace("{name: threshold, workers_per_session: 4, idle: 5m}", "{name: static, workers: 2}")
    assert len(values(past)["moments"]) == 3
    table = replayed(past, "--limit", 1).stdout
    assert "(--limit, --format json): 2" in table
    assert "differ: 3" in table


def test_two_configurations_are_held_against_each_other_over_the_same_windows(past: PastSite) -> None:
    other = past.other("workers_per_session: 4", "workers_per_session: 2")
    found = values(past, "--against", other)
    assert [each["side"] for each in found["configs"]] == ["this", "against"]
    assert found["configs"][1]["policy"].startswith("threshold (workers_per_session: 2, ")
    assert found["totals"].keys() == {"this", "against", "done"}
    (moment,) = found["moments"]
    assert (moment["this"]["workers"], moment["against"]["workers"]) == (8, 4)
    assert "moments in which autoscaler.yaml and other.yaml differ: 1" in replayed(past, "--against", other).stdout


def test_a_host_that_only_one_configuration_has_is_named(past: PastSite) -> None:
    other = past.other('name: host-1\n    uri: "test:///', 'name: host-2\n    uri: "test:///x/')
    found = values(past, "--against", other)
    assert found["only_in_one"] == ["host-1 is only in autoscaler.yaml", "host-2 is only in other.yaml"]
    assert found["moments"] == []


def test_without_a_store_the_replay_begins_dormant_and_says_so(site: Site, httpserver: HTTPServer) -> None:
    past = PastSite(site, httpserver)
    result = replayed(past)
    assert result.exit_code == 0
    assert "assumed: host-1 begins without workers" in result.stdout
    assert "the store has no cycles of 1h" in result.stdout
    assert values(past)["totals"]["this"]["changes"] == 2
    assert not site.store.exists()


def test_a_time_without_a_controller_is_said_and_not_compared(site: Site, httpserver: HTTPServer) -> None:
    past = PastSite(site, httpserver)
    past.live(until=10)
    found = values(past)
    assert found["totals"]["done"]["known_s"] == 13 * 60  # the last decision was at minute 9, and counts for three more
    assert found["moments"] == []


def test_an_unknown_signal_holds_and_its_time_is_told(past: PastSite) -> None:
    past.load.queued = lambda at: None if at >= past.end - 6 * MINUTE else past.queued(at)
    (unknown,) = values(past)["unknown_signals"]
    assert (unknown["signal"], unknown["unknown_s"]) == ("proof_queued_sessions", 360)
    result = replayed(past)
    assert result.exit_code == 0
    assert "a needed signal was unknown for 6m" in result.stdout
    assert "proof_queued_sessions, 6m: no value" in result.stdout


def test_a_signal_that_was_never_known_is_exit_code_3(past: PastSite) -> None:
    past.load.queued = lambda _at: None
    assert replayed(past).exit_code == 3


def test_a_prometheus_that_cannot_be_reached_is_exit_code_3_and_told(past: PastSite) -> None:
    before = next(line for line in past.site.text.splitlines() if "url:" in line)
    past.site.replace(before, f"  url: {refused_address()}")
    result = replayed(past)
    assert result.exit_code == 3
    assert "cannot be reached: connection refused or lost" in result.stderr


def test_a_source_without_history_is_exit_code_1_and_says_what_is_needed(site: Site) -> None:
    result = site.invoke("dry-run", "--since", "1h")
    assert result.exit_code == 1
    assert "source.kind is scrape, which keeps no history: --since needs kind: prometheus" in result.stderr


def test_a_decision_that_cannot_be_read_is_named_and_exit_code_3(past: PastSite) -> None:
    with closing(sqlite3.connect(past.site.store)) as connection, connection:
        connection.execute("UPDATE decisions SET body = '{}' WHERE number = 20")
    result = replayed(past)
    assert result.exit_code == 3
    assert "decision 20 cannot be read" in result.stdout
    assert "decisions that cannot be read: 1" in result.stdout


def test_nothing_is_written_and_no_hypervisor_is_needed(past: PastSite) -> None:
    (past.site.folder / "host-1.xml").unlink()
    before = {path: path.read_bytes() for path in past.site.folder.iterdir()}
    assert replayed(past).exit_code == 0
    assert {path: path.read_bytes() for path in before} == before


def test_two_replays_of_the_same_time_give_identical_bytes(past: PastSite) -> None:
    past.site.replace("workers_per_session: 4", "workers_per_session: 3")
    one, two = (replayed(past, "--format", "json").stdout for _ in range(2))
    if json.loads(one)["to"] != json.loads(two)["to"]:  # a minute has begun between them
        one = replayed(past, "--format", "json").stdout
    assert one == two


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "0s"], "must be longer than 0s"),
        (["--since", "7"], "is not a duration"),
        (["--since", "30s"], "--since is shorter than a cycle: controller.interval is 1m"),
        (["--limit", "5"], "a dry run of the live facility does not take --limit, which goes with --from-decisions or"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error_in_words(past: PastSite, arguments: list[str], words: str) -> None:
    result = past.site.invoke("dry-run", *arguments)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())


def test_the_cycles_lie_at_whole_multiples_of_the_interval(past: PastSite) -> None:
    found = values(past)
    assert found["to"][-9:] == ":00+00:00"
    assert found["interval_s"] == timedelta(minutes=1).total_seconds()
