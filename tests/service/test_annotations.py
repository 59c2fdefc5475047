"""What Grafana is told of a decision: one annotation, at once and again when all its transfers have ended."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoscaler.model import Decision, HostDecision, Outcome, Result, Transfer
from autoscaler.service.annotations import LONGEST_TAGS, TAG, Annotations, Body, Change
from autoscaler.testing import NOW
from tests.service.plant import Plant, hosts_named
from tests.service.waiting import Gate, wait_until

SECOND = timedelta(seconds=1)


def moved(name: str = "one", before: int = 0, after: int = 4, reason: str = "grow: 1 queued session") -> HostDecision:
    return HostDecision(name, before, after, after, reason, transfer=Transfer(name, before, after, 8192, ()))


def ended(
    name: str = "one", result: Result = Result.DONE, reason: str = "all reached", seconds: float = 12.5
) -> Outcome:
    return Outcome(name, result, reason, NOW + SECOND, NOW + SECOND + seconds * SECOND)


def over(*outcomes: Outcome, hosts: tuple[HostDecision, ...] = (moved(),)) -> Body:
    return Change(7, NOW, hosts, {each.host: each for each in outcomes}).body()


class TestBody:
    """The body of the request."""

    def test_says_who_changes_how_and_why_and_the_number_of_the_decision(self) -> None:
        assert over() == {
            "time": int(NOW.timestamp() * 1000),
            "tags": [TAG, "grow", "one"],
            "text": "one: 0 to 4 workers: grow: 1 queued session<br>decision 7",
        }

    def test_is_a_region_with_what_became_of_it_when_it_is_over(self) -> None:
        body = over(ended())
        assert body["timeEnd"] == body["time"] + 13_500
        assert "grow: 1 queued session (done after 12.5 s)" in body["text"]

    def test_says_why_a_transfer_did_not_reach_its_goal(self) -> None:
        body = over(ended(result=Result.PARTIAL, reason="wn keeps 2048 MiB"))
        assert "(partial after 12.5 s: wn keeps 2048 MiB)" in body["text"]

    def test_does_not_end_before_it_begins_when_a_clock_was_set_back(self) -> None:
        body = over(replace(ended(), ended_at=NOW - SECOND))
        assert body["timeEnd"] == body["time"]

    def test_lasts_until_the_last_transfer_has_ended(self) -> None:
        hosts = moved("one"), moved("two", 4, 0, "shrink: idle")
        assert "timeEnd" not in over(ended("one"), hosts=hosts)
        body = over(ended("one"), ended("two", seconds=60), hosts=hosts)
        assert body["timeEnd"] == body["time"] + 61_000
        assert body["tags"] == [TAG, "grow", "shrink", "one", "two"]

    def test_times_are_milliseconds_since_the_epoch(self) -> None:
        assert Change(1, datetime(2026, 11, 27, 22, 0, 0, 250_000, UTC), (moved(),)).body()["time"] == 1_795_816_800_250

    def test_has_as_many_tags_as_grafana_takes(self) -> None:
        body = over(hosts=tuple(moved(f"vaf-dom0-{number:03}") for number in range(300)))
        assert 0 <= LONGEST_TAGS - len(json.dumps(body["tags"], separators=(",", ":"))) < 16
        assert body["tags"][:3] == [TAG, "grow", "vaf-dom0-000"]

    def test_names_some_of_many_hosts_and_counts_the_others(self) -> None:
        text = over(hosts=tuple(moved(f"host-{number}") for number in range(300)))["text"]
        assert text.count("<br>") == 21
        assert "<br>and 280 more hosts<br>" in text

    def test_shows_what_people_write_as_they_wrote_it(self) -> None:
        assert (
            "set by root: &lt;b&gt;now&lt;/b&gt; &amp; here"
            in over(hosts=(moved(reason="set by root: <b>now</b> & here"),))["text"]
        )


@pytest.fixture
def told() -> list[tuple[int, Body]]:
    return []


@pytest.fixture
def plant(tmp_path: Path, told: list[tuple[int, Body]]) -> Iterator[Plant]:
    annotations = Annotations(lambda number, body: told.append((number, body)))
    plant = Plant(tmp_path, hosts_named("one", "two"), on_decision=annotations.decided, on_outcome=annotations.ended)
    yield plant
    plant.close()


class TestController:
    """What comes of the controller's cycles."""

    def test_a_change_is_told_when_it_is_decided_and_when_it_is_over(
        self, plant: Plant, told: list[tuple[int, Body]]
    ) -> None:
        plant.source.queued = 1.0
        number = plant.cycle().number
        assert [(each, "timeEnd" in body) for each, body in told] == [(number, False), (number, True)]

    def test_a_cycle_that_changes_nothing_is_not_told(self, plant: Plant, told: list[tuple[int, Body]]) -> None:
        plant.cycle()
        assert told == []

    def test_a_host_that_hangs_does_not_keep_the_others_from_being_told(
        self, plant: Plant, told: list[tuple[int, Body]]
    ) -> None:
        gate, fake = Gate(), plant.fakes["one"]
        before = fake.before_call

        def hang(call: str) -> None:
            if call.startswith("set"):
                gate.pass_through()
            before(call)

        fake.before_call = hang
        plant.source.queued = 2.0
        plant.controller.cycle()
        assert gate.reached.wait(30)
        assert len(told) == 1
        gate.open()
        wait_until(lambda: len(told) == 2, "the end")

    def test_the_walk_to_the_safe_split_is_told_too(self, plant: Plant, told: list[tuple[int, Body]]) -> None:
        plant.source.queued = 1.0
        plant.cycle()
        plant.source.queued = 0.0
        plant.controller.walk_to_safe("10 cycles failed in a row")
        plant.controller.settle()
        assert "10 cycles failed in a row" in told[-1][1]["text"]


def test_an_outcome_of_a_transfer_that_began_before_is_nobodys() -> None:
    Annotations(lambda *_: pytest.fail("there is nothing to tell")).ended(ended())


def test_a_decision_without_transfers_is_no_change(plant: Plant) -> None:
    decision: Decision = plant.cycle().decision
    Annotations(lambda *_: pytest.fail("there is nothing to tell")).decided(1, decision)
