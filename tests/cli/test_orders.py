"""`autoscaler pause`, `resume` and `set`: what a person says of hosts, and that the controller does it."""

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from autoscaler.model import Direction, Orders
from autoscaler.store.sql import SqlStore
from tests.cli.site import Site

FOR = ("--for", "2h", "--reason", "kernel update")
GROUPS = "groups: {rack-3: {hosts: [host-1, host-2]}, rack-4: {hosts: [host-2]}}\nhosts:"
COMMANDS = [("pause", "host-1", *FOR), ("set", "host-1", "--workers", 2, *FOR), ("resume",)]


@pytest.fixture
def ready(two_hosts: Site) -> Site:
    """Two hosts in two groups; the controller has run."""
    two_hosts.replace("hosts:", GROUPS)
    two_hosts.make_empty_store()
    return two_hosts


def orders(site: Site) -> Orders:
    with closing(SqlStore(site.store)) as store:
        return store.orders(datetime.now(UTC))


def maintain(site: Site) -> None:
    """State maintenance of rack-4 that is under way."""
    now = datetime.now(UTC)
    window = f"from: '{now - timedelta(hours=1)}', to: '{now + timedelta(hours=1)}'"
    site.replace("groups:", f"maintenance: [{{hosts: [rack-4], {window}, reason: disks}}]\ngroups:")


def workers(site: Site) -> list[int]:
    """The workers that the newest decision grants to each host."""
    with closing(SqlStore(site.store)) as store:
        record = store.latest()
        assert record is not None
        return [host.granted or 0 for host in record.decision.hosts]


def paused(site: Site) -> set[tuple[str, str]]:
    return {(each.host, each.direction.value) for each in orders(site).pauses}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_store_it_is_exit_code_4_and_none_is_made(two_hosts: Site, command: tuple[object, ...]) -> None:
    result = two_hosts.invoke(str(command[0]), *command[1:])
    assert result.exit_code == 4
    assert "does not exist yet: has `autoscaler run` run?" in result.stderr
    assert not two_hosts.store.exists()


@pytest.mark.parametrize(
    ("command", "option"), [(COMMANDS[0], "--for"), (COMMANDS[0], "--reason"), (COMMANDS[1], "--for")]
)
def test_a_time_and_the_reason_of_a_pause_have_to_be_given(
    ready: Site, command: tuple[object, ...], option: str
) -> None:
    given = list(command)
    at = given.index(option)
    result = ready.invoke(str(given[0]), *given[1:at], *given[at + 2 :])
    assert result.exit_code == 2
    assert f"Missing option '{option}'" in result.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("pause", "host-3", *FOR), "no host or group is called 'host-3' (did you mean 'host-2'?)"),
        (("resume", "rack3"), "no host or group is called 'rack3' (did you mean 'rack-3'?)"),
        (("set", "hots-1", "--workers", 1, *FOR), "no host or group is called 'hots-1' (did you mean 'host-1'?)"),
        (("set", "rack-3", "--workers", 1, *FOR), "'rack-3' is a group: set one host"),
        (("set", "host-1", "--workers", 9, *FOR), "host-1 may have 8 workers at most (proof.workers_max)"),
        (("pause", "--for", "2h", "--reason", "  "), "is empty"),
        (("pause", "--for", "0s", "--reason", "x"), "must be longer than 0s"),
        (("pause", "--for", "2", "--reason", "x"), "'2' is not a duration"),
    ],
)
def test_what_is_not_understood_is_exit_code_2_in_words(ready: Site, command: tuple[object, ...], words: str) -> None:
    result = ready.invoke(str(command[0]), *command[1:])
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert orders(ready) == Orders()


class TestPause:
    """A host that is left as it is."""

    def test_of_a_host_does_not_grow_while_the_others_do(self, ready: Site) -> None:
        ready.exporter.queued = 1
        ready.invoke("pause", "host-1", *FOR)
        ready.run(cycles=1)
        assert workers(ready) == [0, 4]

    def test_is_over_when_it_is_resumed(self, ready: Site) -> None:
        ready.exporter.queued = 1
        ready.invoke("pause", "host-1", *FOR)
        assert "host-1: resumed" in ready.invoke("resume", "host-1").stdout
        ready.run(cycles=1)
        assert workers(ready) == [2, 2]

    def test_is_over_when_its_time_is_over(self, ready: Site) -> None:
        ready.invoke("pause", "--for", "1ms", "--reason", "x")
        time.sleep(0.002)
        assert orders(ready) == Orders()

    def test_says_who_until_when_and_why(self, ready: Site) -> None:
        result = ready.invoke("pause", "host-1", *FOR)
        assert result.exit_code == 0
        assert result.stdout.startswith("host-1: paused until ")
        assert result.stdout.endswith("; the running controller sees it at its next cycle\n")
        one, _ = orders(ready).pauses
        assert (one.reason, one.until - one.since) == ("kernel update", timedelta(hours=2))
        assert one.who

    def test_of_a_group_is_of_all_its_hosts(self, ready: Site) -> None:
        result = ready.invoke("pause", "rack-3", "--direction", "grow", *FOR)
        assert result.stdout.startswith("rack-3 (2 hosts): growing paused until ")
        assert paused(ready) == {("host-1", "grow"), ("host-2", "grow")}

    def test_without_a_name_is_of_all_hosts(self, ready: Site) -> None:
        ready.invoke("pause", *FOR)
        assert paused(ready) == {(host, each.value) for host in ("host-1", "host-2") for each in Direction}

    def test_can_be_ended_in_one_direction(self, ready: Site) -> None:
        ready.invoke("pause", *FOR)
        ready.invoke("resume", "rack-4", "--direction", "shrink")
        assert paused(ready) == {("host-1", "grow"), ("host-1", "shrink"), ("host-2", "grow")}

    def test_is_not_shortened_by_one_of_all_hosts(self, ready: Site) -> None:
        ready.invoke("pause", "host-1", "--direction", "grow", *FOR)
        said, kept = ready.invoke("pause", "--for", "30m", "--reason", "network").stdout.splitlines()
        assert said.startswith("all 2 hosts: paused until ")
        assert kept.startswith("host-1: growing paused until ")
        assert kept.endswith(": kernel update; it stays so, autoscaler resume ends it")
        reasons = {(each.host, each.direction.value): each.reason for each in orders(ready).pauses}
        assert reasons.pop(("host-1", "grow")) == "kernel update"
        assert set(reasons.values()) == {"network"}

    def test_is_not_shortened_and_says_only_that(self, ready: Site) -> None:
        ready.invoke("pause", "host-1", "--direction", "grow", *FOR)
        result = ready.invoke("pause", "host-1", "--direction", "grow", "--for", "1h", "--reason", "x")
        assert len(result.stdout.splitlines()) == 1
        assert [each.reason for each in orders(ready).pauses] == ["kernel update"]

    def test_is_lengthened_by_another_one(self, ready: Site) -> None:
        ready.invoke("pause", *FOR)
        ready.invoke("pause", "--for", "3h", "--reason", "still at it")
        assert {each.reason for each in orders(ready).pauses} == {"still at it"}

    def test_resuming_what_is_not_paused_says_so(self, ready: Site) -> None:
        assert ready.invoke("resume").stdout == "nothing was paused or set there\n"

    def test_of_the_configuration_needs_no_command(self, ready: Site) -> None:
        maintain(ready)
        ready.exporter.queued = 1
        ready.run(cycles=1)
        assert workers(ready) == [4, 0]

    def test_of_the_configuration_is_told_by_a_resume_that_does_not_end_it(self, ready: Site) -> None:
        maintain(ready)
        ready.invoke("pause", "host-1", *FOR)
        resumed, still = ready.invoke("resume").stdout.splitlines()
        assert resumed.startswith("all 2 hosts: resumed")
        assert still.startswith("host-2: still paused until ")
        assert still.endswith(" by maintenance: disks; resume does not end that")
        assert len(ready.invoke("resume", "host-1").stdout.splitlines()) == 1


class TestSet:
    """A host that has so many workers."""

    def test_gives_a_host_its_workers(self, ready: Site) -> None:
        assert ready.invoke("set", "host-2", "--workers", 3, *FOR).exit_code == 0
        ready.run(cycles=1)
        assert workers(ready) == [0, 3]

    def test_without_a_reason_says_that_none_was_given(self, ready: Site) -> None:
        assert ready.invoke("set", "host-2", "--workers", 3, "--for", "2h").exit_code == 0
        assert [each.reason for each in orders(ready).overrides] == ["none given"]

    def test_a_store_says_the_same_when_it_is_decided_again(self, ready: Site) -> None:
        ready.invoke("set", "host-2", "--workers", 3, *FOR)
        ready.invoke("pause", "host-1", *FOR)
        ready.run(cycles=2)
        assert ready.invoke("dry-run", "--from-decisions").exit_code == 0

    def test_a_dry_run_knows_it(self, ready: Site) -> None:
        ready.invoke("set", "host-2", "--workers", 3, *FOR)
        found = json.loads(ready.invoke("dry-run", "--format", "json").stdout)
        assert [host["granted"] for host in found["hosts"]] == [0, 3]

    def test_is_ended_by_resume_without_a_direction(self, ready: Site) -> None:
        ready.invoke("set", "host-2", "--workers", 3, *FOR)
        ready.invoke("resume", "--direction", "grow")
        assert len(orders(ready).overrides) == 1
        assert "all 2 hosts: resumed" in ready.invoke("resume").stdout
        assert orders(ready) == Orders()

    def test_of_a_host_in_maintenance_says_that_the_pause_wins(self, ready: Site) -> None:
        maintain(ready)
        assert "host-2 is paused: a pause wins" in ready.invoke("set", "host-2", "--workers", 3, *FOR).stdout

    def test_of_a_paused_host_says_that_the_pause_wins(self, ready: Site) -> None:
        ready.invoke("pause", "host-1", *FOR)
        assert "host-1 is paused: a pause wins" in ready.invoke("set", "host-1", "--workers", 3, *FOR).stdout


class TestShown:
    """Where a person finds what was said."""

    @pytest.fixture
    def said(self, ready: Site) -> Site:
        ready.invoke("pause", "host-1", *FOR)
        ready.invoke("set", "host-2", "--workers", 3, *FOR)
        ready.run(cycles=1)
        ready.replace("interval: 100ms", "interval: 1h")
        return ready

    def test_status_shows_them(self, said: Site) -> None:
        text = said.invoke("status").stdout
        assert "host-1: paused until " in text
        assert "host-2: set to 3 workers until " in text

    def test_status_as_json_has_them(self, said: Site) -> None:
        found = json.loads(said.invoke("status", "--format", "json").stdout)
        assert [(each["host"], each["direction"]) for each in found["pauses"]] == [
            ("host-1", "grow"),
            ("host-1", "shrink"),
        ]
        (override,) = found["overrides"]
        assert override.keys() == {"host", "workers", "since", "until", "who", "reason"}

    def test_explain_shows_those_of_the_host_then(self, said: Site) -> None:
        said.invoke("resume")
        text = said.invoke("explain", "host-1").stdout
        assert "order: host-1: paused until " in text
        assert "set to" not in text
