"""`autoscaler dry-run`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.site import Site, invoke, run_process

GROWTH = [
    "wn: memory 3743 MiB",
    "proof: CPU weight 256, cap 4 cores",
    "wn: CPU weight 32, no cap",
    "proof: memory 3740 MiB",
]


def values(site: Site) -> dict[str, Any]:
    return json.loads(site.invoke("dry-run", "--format", "json").stdout)


def test_the_table_shows_wanted_granted_why_and_the_calls(site: Site) -> None:
    site.exporter.queued = 1
    result = site.invoke("dry-run")
    assert result.exit_code == 0
    for words in ("Host", "Workers", "Wanted", "Granted", "Cut by", "Why", "Would do", "host-1", *GROWTH):
        assert words in result.stdout


def test_the_table_is_preceded_by_the_demand_and_the_signals_with_their_age(site: Site) -> None:
    site.exporter.queued = 1
    first, *signals = site.invoke("dry-run").stdout.splitlines()[:3]
    assert (
        first
        == "demand: at least 4 workers in the facility: 1 queued and 0 running sessions, peak of the last 5 min is 1"
    )
    assert re.fullmatch(r"  proof_queued_sessions: 1, \d+s old", signals[0])
    assert re.fullmatch(r"  proof_running_sessions: 0, \d+s old", signals[1])


def test_json_is_one_decision_with_the_calls_of_each_host(site: Site) -> None:
    site.exporter.queued = 1
    (host,) = values(site)["hosts"]
    assert (host["current"], host["wanted"], host["granted"]) == (0, 4, 4)
    assert host["calls"] == GROWTH


def test_json_has_the_policy_as_check_prints_it(site: Site) -> None:
    assert f"policy {values(site)['policy']}\n" in invoke("check", site.config).stdout


def test_json_is_one_line(site: Site) -> None:
    assert site.invoke("dry-run", "--format", "json").stdout.count("\n") == 1


def test_workers_that_find_no_place_are_told(site: Site) -> None:
    site.exporter.queued = 3  # 12 workers, the host takes 8
    assert "4 workers find no host with room" in site.invoke("dry-run").stdout


def test_a_cut_names_its_guard(site: Site) -> None:
    site.exporter.queued, site.exporter.age_s = 1, 3600
    (host,) = values(site)["hosts"]
    assert [cut["guard"] for cut in host["cuts"]] == ["fresh"]
    assert "fresh" in site.invoke("dry-run").stdout


def test_nothing_is_written(site: Site) -> None:
    site.exporter.queued = 1
    before = {path: path.read_bytes() for path in site.folder.iterdir()}
    site.invoke("dry-run")
    assert {path: path.read_bytes() for path in site.folder.iterdir()} == before


def test_the_store_of_a_running_controller_is_only_read(site: Site) -> None:
    site.exporter.queued = 1
    site.run(cycles=2)
    before = site.store.read_bytes()
    assert site.invoke("dry-run").exit_code == 0
    assert site.store.read_bytes() == before


def test_the_running_controllers_timers_count(site: Site) -> None:
    site.exporter.queued = 1
    site.run(cycles=1)
    site.replace("fresh_for: 60s", "fresh_for: 60s, grow_cooldown: 1h")
    (host,) = values(site)["hosts"]
    assert [cut["guard"] for cut in host["cuts"]] == ["cooldown"]


def test_an_unknown_signal_is_exit_code_3_and_told(site: Site) -> None:
    site.exporter.up = 0
    result = site.invoke("dry-run")
    assert result.exit_code == 3
    assert "proof_queued_sessions: unknown: an exporter of job proof cannot read its source" in result.stdout
    assert "demand: hold: PROOF load is unknown" in result.stdout


def test_a_stale_signal_is_exit_code_3(site: Site) -> None:
    site.exporter.queued, site.exporter.age_s = 1, 3600
    assert site.invoke("dry-run").exit_code == 3


def test_an_unknown_signal_that_the_policy_does_not_use_is_no_fault(site: Site) -> None:
    site.exporter.up = 0
    site.replace("{name: threshold, workers_per_session: 4, idle: 5m}", "{name: static, workers: 2}")
    result = site.invoke("dry-run")
    assert result.exit_code == 0
    assert "(not used by the policy)" in result.stdout


def test_an_unusable_host_is_exit_code_3_and_the_others_are_shown(two_hosts: Site) -> None:
    (two_hosts.folder / "host-1.xml").unlink()
    two_hosts.exporter.queued = 1
    result = two_hosts.invoke("dry-run", "--format", "json")
    assert result.exit_code == 3
    one, two = json.loads(result.stdout)["hosts"]
    assert "host-1.xml" in one["reason"]
    assert (one["granted"], two["granted"]) == (None, 4)


def test_a_broken_configuration_is_exit_code_1(site: Site) -> None:
    site.replace("kind: scrape", "kind: guess")
    assert site.invoke("dry-run").exit_code == 1


def test_a_file_that_is_no_store_is_exit_code_4(site: Site) -> None:
    site.store.write_text("no store" * 1000)
    assert site.invoke("dry-run").exit_code == 4


@pytest.mark.parametrize("name", ["[/oops]", "[red]x", ":warning:", "a b", "ä", "{x}", "%s"])
def test_names_are_shown_as_they_are(site: Site, name: str) -> None:
    site.replace("name: host-1", f"name: '{name}'")
    result = site.invoke("dry-run")
    assert result.exit_code == 0
    assert name in result.stdout


def test_the_installed_command_gives_the_same(site: Site) -> None:
    site.exporter.queued = 1
    done = run_process("dry-run", "--config", site.config, "--format", "json", cwd=site.folder)
    assert done.returncode == 0
    assert json.loads(done.stdout)["hosts"][0]["calls"] == GROWTH
    assert done.stderr == ""


class TestAgainst:
    """One reading, decided by two configurations."""

    def other(self, site: Site, before: str, after: str) -> Path:
        assert before in site.text
        file = site.folder / "other.yaml"
        file.write_text(site.text.replace(before, after))
        return file

    def test_the_table_has_what_each_grants_and_why(self, site: Site) -> None:
        site.exporter.queued = 1
        other = self.other(site, "workers_per_session: 4", "workers_per_session: 6")
        result = site.invoke("dry-run", "--against", other)
        assert result.exit_code == 0
        assert "other.yaml: demand: at least 6 workers in the facility: 1 queued" in result.stdout
        assert "Granted" in result.stdout

    def test_json_has_the_other_decision_beside_the_first(self, site: Site) -> None:
        site.exporter.queued = 1
        other = self.other(site, "workers_per_session: 4", "workers_per_session: 6")
        found = json.loads(site.invoke("dry-run", "--against", other, "--format", "json").stdout)
        assert found["hosts"][0]["granted"] == 4
        assert found["against"]["config"] == str(other)
        assert found["against"]["policy"].startswith("threshold (workers_per_session: 6, ")
        assert found["against"]["hosts"][0]["granted"] == 6
        assert found["against"]["left_out"] == {}

    def test_the_longer_history_is_read_for_both(self, site: Site) -> None:
        other = self.other(site, "{name: threshold, workers_per_session: 4, idle: 5m}", "{name: static, workers: 2}")
        site.replace("{name: threshold, workers_per_session: 4, idle: 5m}", "{name: hold}")
        found = json.loads(site.invoke("dry-run", "--against", other, "--format", "json").stdout)
        assert (found["hosts"][0]["granted"], found["against"]["hosts"][0]["granted"]) == (0, 2)

    def test_hosts_that_only_one_of_them_has_are_named(self, two_hosts: Site) -> None:
        other = self.other(two_hosts, "name: host-2", "name: host-3")
        result = two_hosts.invoke("dry-run", "--against", other)
        assert "host-2 is left out of" in result.stdout
        assert "host-3 is left out of" in result.stdout

    def test_the_configuration_itself_is_refused(self, site: Site) -> None:
        same = site.folder / "." / ".." / site.folder.name / site.config.name
        result = site.invoke("dry-run", "--against", same)
        assert (result.exit_code, "is the configuration itself: nothing would differ" in result.stderr) == (2, True)

    def test_another_configuration_that_is_broken_is_exit_code_1(self, site: Site) -> None:
        other = self.other(site, "kind: scrape", "kind: guess")
        result = site.invoke("dry-run", "--against", other)
        assert result.exit_code == 1
        assert "other.yaml" in result.stderr
