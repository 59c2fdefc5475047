"""`autoscaler demo`: the whole controller lives through a day."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from autoscaler.demo.facility import AWAKE_MIB, CORES, DORMANT_MIB, HOSTS, demo_facility
from autoscaler.store.records import decision_from_json
from tests.cli.site import invoke

GUESTS_MIB = 8056 - 573
CYCLES_PER_HOUR = 12


@dataclass(frozen=True)
class Day:
    """The whole day, played once."""

    result: Result
    records: list[dict[str, Any]]


@pytest.fixture(scope="module")
def day() -> Day:
    """Play it."""
    result = invoke("demo", "--format", "json")
    return Day(result, [json.loads(line) for line in result.stdout.splitlines()])


def workers(record: dict[str, Any]) -> list[int]:
    """The workers that each host has after the cycle."""
    return [host["granted"] for host in record["hosts"]]


def observations(record: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The domains of each host, before and after."""
    for host in record["situation"]["hosts"]:
        yield host["domains"]
    for outcome in record["outcomes"]:
        yield outcome["observed"]


def test_a_day_ends_well(day: Day) -> None:
    assert day.result.exit_code == 0


def test_each_line_is_one_decision_that_can_be_read_back(day: Day) -> None:
    assert len(day.records) == 288
    for number, record in enumerate(day.records, start=1):
        assert record.pop("number") == number
        outcomes = record.pop("outcomes")
        assert len(decision_from_json(json.dumps(record)).hosts) == 3
        record |= {"number": number, "outcomes": outcomes}


def test_the_host_sum_holds_in_every_record(day: Day) -> None:
    for record in day.records:
        for domains in observations(record):
            assert sum(domain["allocation"]["memory_mib"] for domain in domains) <= GUESTS_MIB


def test_the_host_sum_holds_with_what_was_asked_for(day: Day) -> None:
    for record in day.records:
        for domains in observations(record):
            asked = (max(domain["allocation"]["memory_mib"], domain["asked_mib"] or 0) for domain in domains)
            assert sum(asked) <= GUESTS_MIB


def test_proof_sleeps_at_night(day: Day) -> None:
    for record in day.records[: 8 * CYCLES_PER_HOUR]:
        assert workers(record) == [0, 0, 0]


def test_proof_wakes_in_the_cycle_in_which_the_first_session_comes(day: Day) -> None:
    ten_past_eight = 8 * CYCLES_PER_HOUR + 2
    assert sum(workers(day.records[ten_past_eight - 1])) == 0
    assert sum(workers(day.records[ten_past_eight])) == 6  # one session wants six workers


def test_the_afternoon_takes_all_there_is(day: Day) -> None:
    assert [8, 8, 8] in [workers(record) for record in day.records]


def test_proof_is_dormant_again_at_the_end_of_the_day(day: Day) -> None:
    assert workers(day.records[-1]) == [0, 0, 0]
    for host in day.records[-1]["situation"]["hosts"]:
        assert [domain["allocation"]["memory_mib"] for domain in host["domains"]] == [DORMANT_MIB, AWAKE_MIB]


def test_every_transfer_is_done(day: Day) -> None:
    results = [outcome["result"] for record in day.records for outcome in record["outcomes"]]
    assert set(results) == {"done"}
    assert len(results) == sum(host["transfer"] is not None for record in day.records for host in record["hosts"])


def test_no_cycle_fails_and_no_host_is_in_trouble(day: Day) -> None:
    assert {record["error"] for record in day.records} == {None}
    assert {host["state"] for record in day.records for host in record["situation"]["hosts"]} == {"ready"}


def test_the_summary_of_json_goes_to_standard_error(day: Day) -> None:
    first, second, third = day.result.stderr.splitlines()
    assert first.startswith("288 cycles, ")
    assert second.startswith("the host sum held: at the closest, 0 MiB ")
    assert third.startswith("time of one cycle: read ")


def test_a_part_of_the_day_is_played_by_cycles() -> None:
    result = invoke("demo", "--cycles", 3, "--format", "json")
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("cycles", [0, 289, "all"])
def test_more_than_a_day_cannot_be_played(cycles: object) -> None:
    assert invoke("demo", "--cycles", cycles).exit_code == 2


def test_the_table_has_its_columns_and_both_domains_of_each_host() -> None:
    output = invoke("demo", "--cycles", 8 * CYCLES_PER_HOUR + 3).output
    for words in ("Host", "Domain", "CPU time", "Memory", "Cap", "Weight", "Workers", "Why", "08:10", *HOSTS):
        assert words in output
    for number in ("001", "002", "003"):
        assert f"vaf-proof-{number}" in output
        assert f"vaf-wn-{number}" in output


def test_the_table_is_followed_by_the_summary() -> None:
    output = invoke("demo", "--cycles", 1).output
    assert output.startswith("1 cycles, 0 transfers (none), 0.0 GiB moved")


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    invoke("demo", "--cycles", 2)
    assert list(tmp_path.iterdir()) == []


def test_the_facility_is_that_of_the_prototype(tmp_path: Path) -> None:
    facility = demo_facility(tmp_path)
    assert [host.name for host in facility.hosts] == list(HOSTS)
    for host in facility.hosts:
        assert (host.memory_total_mib or 0) - host.memory_reserve_mib == GUESTS_MIB
        assert host.proof.workers_max == CORES
