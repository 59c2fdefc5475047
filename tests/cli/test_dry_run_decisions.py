"""`autoscaler dry-run --from-decisions`: the stored decisions, decided again."""

import json
import shutil
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from click.testing import Result
from pytest_httpserver import HTTPServer

from autoscaler.learning.shelf import Shelf, versions_here
from autoscaler.service.models import shelf_beside
from tests.cli.history import PastSite
from tests.cli.site import Site
from tests.learning.models import NOW, a_draft, a_forest


@pytest.fixture
def past(two_hosts: Site, httpserver: HTTPServer) -> PastSite:
    """Two hosts whose controller has run for an hour and ten minutes."""
    past = PastSite(two_hosts, httpserver)
    past.live()
    return past


def again(past: PastSite, *arguments: object) -> Result:
    return past.site.invoke("dry-run", "--from-decisions", *arguments)


def lines(past: PastSite, *arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in again(past, "--format", "json", *arguments).stdout.splitlines()]


def test_a_configurations_own_decisions_are_decided_again_without_a_difference(past: PastSite) -> None:
    result = again(past)
    assert result.exit_code == 0
    assert result.stdout == "decisions decided again: 70, differently: none\n"
    assert result.stderr == ""


def test_what_a_controller_on_libvirt_decided_is_decided_again_without_a_difference(site: Site) -> None:
    site.exporter.queued = 1
    site.run(cycles=3)
    assert site.invoke("dry-run", "--from-decisions").exit_code == 0


def test_another_policy_is_exit_code_5_and_each_difference_has_number_time_host_and_reasons(past: PastSite) -> None:
    past.site.replace("workers_per_session: 4", "workers_per_session: 2")
    result = again(past)
    assert result.exit_code == 5
    for words in ("No.", "Time", "Host", "What", "stored", "now", "demand", "wanted", "granted", "transfer", "host-2"):
        assert words in result.stdout
    assert "decisions decided again: 70, differently: 5" in result.stdout


def test_json_has_each_differing_decision_on_a_line_and_the_account_on_the_last(past: PastSite) -> None:
    past.site.replace("workers_per_session: 4", "workers_per_session: 2")
    *found, account = lines(past)
    assert len(found) == account["different"] == 5  # while they wait; afterwards both hold
    assert account["decisions"] == 70
    first = found[0]
    assert first["number"] == 31  # ten minutes and twenty
    assert first["differences"][0]["what"] == "demand"
    assert (first["differences"][0]["one"], first["differences"][0]["two"]) == (8, 4)
    assert {each["host"] for each in first["differences"]} == {None, "host-1", "host-2"}


def test_a_table_shows_the_newest_differences_and_how_many_more_there_are(past: PastSite) -> None:
    past.site.replace("workers_per_session: 4", "workers_per_session: 2")
    result = again(past, "--limit", 2)
    assert "older differences that are not shown (--limit, --format json): " in result.stdout


def test_only_decisions_of_a_time_are_decided_again(past: PastSite) -> None:
    assert lines(past, "--since", "30m")[-1]["decisions"] in (29, 30)


def test_a_store_without_decisions_of_that_time_is_exit_code_4(past: PastSite) -> None:
    result = again(past, "--since", "1us")
    assert result.exit_code == 4
    assert "holds no decision of the last 1us: its newest is of 20" in result.stderr
    assert result.stdout == ""


def test_a_store_without_any_decision_is_exit_code_4(site: Site) -> None:
    site.make_empty_store()
    result = site.invoke("dry-run", "--from-decisions")
    assert (result.exit_code, "holds no decision yet" in result.stderr) == (4, True)


def test_a_missing_store_is_exit_code_4(site: Site) -> None:
    assert site.invoke("dry-run", "--from-decisions").exit_code == 4


def test_two_configurations_are_held_against_each_other(past: PastSite) -> None:
    other = past.other("workers_per_session: 4", "workers_per_session: 1")
    past.site.replace("workers_per_session: 4", "workers_per_session: 2")
    *found, account = lines(past, "--against", other)
    assert account["configs"] == [str(past.config), str(other)]
    assert (found[0]["differences"][0]["one"], found[0]["differences"][0]["two"]) == (4, 2)
    result = again(past, "--against", other)
    assert result.exit_code == 5
    assert "other.yaml" in result.stdout


def test_a_host_that_is_not_configured_any_more_is_told_and_exit_code_3(past: PastSite) -> None:
    past.site.text = past.site.text[: past.site.text.index("  - name: host-2")]
    past.site.replace("{name: threshold, workers_per_session: 4, idle: 5m}", "{name: hold}")
    past.site.write()
    left_out = lines(past)[-1]["left_out"]
    assert left_out == [{"host": "host-2", "why": "the configuration does not know it", "decisions": 70}]


def test_a_host_that_the_decisions_do_not_know_is_told_and_exit_code_3(past: PastSite) -> None:
    past.site.text += '  - name: host-3\n    uri: "test:///3"\n    proof: {domain: proof}\n    wn: {domain: wn}\n'
    past.site.write()
    result = again(past)
    assert result.exit_code == 3
    assert "host-3 is left out of 70 decisions: it was not looked at" in result.stdout


def test_a_policy_that_looks_back_further_than_the_decisions_hold_is_told_once(past: PastSite) -> None:
    past.site.replace("idle: 5m", "idle: 2h")
    result = again(past)
    said = " ".join(result.stdout.split())
    assert said.count("autoscaler.yaml: its policy looks back 2h, but 70 decisions hold less history, ") == 1
    (short,) = lines(past)[-1]["short_history"]
    assert (short["config"], short["decisions"], short["looks_back_s"]) == (str(past.config), 70, 7200)
    assert 300 <= short["longest_held_s"] < 7200


def test_decisions_that_cannot_be_read_are_counted_and_named_and_exit_code_3(past: PastSite) -> None:
    with closing(sqlite3.connect(past.site.store)) as connection, connection:
        connection.execute("UPDATE decisions SET body = '{}' WHERE number IN (3, 5)")
    result = again(past)
    assert result.exit_code == 3
    assert "decision 3 cannot be read" in result.stdout
    assert "decisions that cannot be read: 2" in result.stdout
    assert "decisions decided again: 68, differently: none" in result.stdout


def test_nothing_is_written(past: PastSite) -> None:
    before = {path: path.read_bytes() for path in past.site.folder.iterdir()}
    again(past)
    assert {path: path.read_bytes() for path in before} == before


def add_model(shelf: Shelf) -> None:
    """One more, and let it act."""
    shelf.promote(shelf.add(a_draft(versions=versions_here()), a_forest(), NOW).number)


@pytest.fixture
def learned(two_hosts: Site, httpserver: HTTPServer) -> PastSite:
    """The same site under the learned policy with a model, after which another one was let act."""
    past = PastSite(two_hosts, httpserver)
    two_hosts.replace("{name: threshold,", "{name: learned,")
    shelf = shelf_beside(two_hosts.store)
    add_model(shelf)
    past.live()
    add_model(shelf)
    return past


def test_decisions_are_decided_again_with_the_model_that_made_them(learned: PastSite) -> None:
    result = again(learned)
    assert (result.exit_code, result.stdout) == (0, "decisions decided again: 70, differently: none\n")


def test_decisions_whose_model_is_gone_are_left_out_and_told_and_exit_code_3(learned: PastSite) -> None:
    shutil.rmtree(shelf_beside(learned.site.store).folder / "0001")
    result = again(learned)
    assert result.exit_code == 3
    said = " ".join(result.stdout.split())
    assert "70 decisions are left out, because the model that they were made with cannot be had: " in said
    assert "there is no model 1" in said
    assert "decisions decided again: 0, differently: none" in said
    (gone,) = lines(learned)[-1]["model_gone"]
    assert gone["decisions"] == 70


def test_a_policy_that_takes_no_model_decides_decisions_whose_model_is_gone(learned: PastSite) -> None:
    shutil.rmtree(shelf_beside(learned.site.store).folder)
    learned.site.replace("{name: learned,", "{name: threshold,")
    assert again(learned).exit_code == 0


def test_decisions_that_name_no_model_are_decided_with_the_one_that_acts_and_told(past: PastSite) -> None:
    past.site.replace("{name: threshold,", "{name: learned,")
    add_model(shelf_beside(past.site.store))
    assert "decisions that name no model, decided again with the one that acts now: 70" in again(past).stdout
    assert lines(past)[-1]["model_untold"] == 70
