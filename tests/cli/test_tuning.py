"""`autoscaler tuning` and `token`, and the API of the running controller."""

import json
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import requests
from click.testing import Result

from autoscaler.api.tokens import Scope, add_token, read_tokens
from autoscaler.core.tuning import TuningRule, decide_tuning
from autoscaler.model import Change, TuningKind
from autoscaler.store.sql import SqlStore
from tests.api.facility import ALERTMANAGER, bearer, sample
from tests.cli.site import Site, invoke
from tests.cli.systemd import Systemd, running
from tests.cli.test_help import check_golden
from tests.core.alerts import BOOST, an_alert
from tests.service.waiting import DEADLINE_S

SECTIONS = """tuning:
  - {match: {alertname: ProofQueueHigh}, action: {boost_workers: 2}, for: 2h}
api: {listen: "127.0.0.1:0", tokens_file: tokens}
hosts:"""


def fire(site: Site, rule: TuningRule = BOOST) -> None:
    """An alert has begun a tuning a second ago."""
    now = datetime.now(UTC)
    plan = decide_tuning([an_alert(starts_at=now - timedelta(seconds=1))], [rule], now)
    with closing(SqlStore(site.store)) as store:
        store.carry_out(plan, now)


@pytest.fixture
def boosted(site: Site) -> Site:
    """One host, and a boost."""
    site.make_empty_store()
    fire(site)
    return site


def ask(site: Site, *words: object) -> Result:
    return invoke(*words, "--config", site.config)


@pytest.mark.parametrize("command", ["tuning list", "tuning undo", "token add", "token list"])
def test_the_help_of_a_subcommand_is_the_golden_one(command: str) -> None:
    check_golden(command.replace(" ", "-"), invoke(*command.split(), "--help").output)


class TestList:
    """What is in force."""

    def test_has_the_rule_what_it_does_and_whose_alert_it_is(self, boosted: Site) -> None:
        line = ask(boosted, "tuning", "list").stdout
        assert all(words in line for words in ("boost on alertname=HighQueue", "+8 workers", "HighQueue", "grafana"))

    def test_as_json_has_the_identity_of_the_alert(self, boosted: Site) -> None:
        (found,) = json.loads(ask(boosted, "tuning", "list", "--format", "json").stdout)
        assert (found["kind"], found["fingerprint"], found["group"]) == ("boost", "9b395dd0ef7339de", "{}:{}")

    def test_says_so_when_there_is_nothing(self, site: Site) -> None:
        site.make_empty_store()
        assert ask(site, "tuning", "list").stdout == "no alert and no announced session changes anything now\n"


class TestUndo:
    """What a person ends early."""

    @pytest.mark.parametrize("name", [(), ("HighQueue",)])
    def test_ends_it_until_the_alert_begins_anew(self, boosted: Site, name: tuple[str, ...]) -> None:
        result = ask(boosted, "tuning", "undo", *name)
        assert result.stdout.startswith("undone: boost on alertname=HighQueue; ")
        assert ask(boosted, "tuning", "list").stdout == "no alert and no announced session changes anything now\n"
        fire(boosted)
        assert "HighQueue" in ask(boosted, "tuning", "list").stdout

    def test_of_an_alert_that_changes_nothing_is_exit_code_2(self, boosted: Site) -> None:
        result = ask(boosted, "tuning", "undo", "HighQeue")
        assert result.exit_code == 2
        assert "no alert or session is called 'HighQeue' (did you mean 'HighQueue'?)" in " ".join(result.stderr.split())


def test_status_shows_what_alerts_change(boosted: Site) -> None:
    boosted.exporter.queued = 1
    boosted.run(cycles=1)
    assert "alert HighQueue (grafana): +8 workers until " in boosted.invoke("status").stdout
    (found,) = json.loads(boosted.invoke("status", "--format", "json").stdout)["tunings"]
    assert found["rule"] == "boost on alertname=HighQueue"
    explained = ask(boosted, "explain", "host-1").stdout
    assert "tuning: alert HighQueue (grafana): +8 workers until " in explained
    assert "\ndemand: at least 4 workers in the facility: 1 queued" in explained
    assert "\nplaced: at least 12 workers in the facility: alert HighQueue (grafana): +8 workers until " in explained


def test_a_live_dry_run_tells_what_the_policy_wants_and_what_alerts_make_of_it(boosted: Site) -> None:
    boosted.exporter.queued = 1
    told = boosted.invoke("dry-run").stdout
    assert "demand: at least 4 workers in the facility: 1 queued" in told
    assert "placed: at least 12 workers in the facility: alert HighQueue (grafana): +8 workers until " in told
    values = json.loads(boosted.invoke("dry-run", "--format", "json").stdout)
    assert (values["demand"]["workers"], values["placed"]["workers"]) == (4, 12)


def test_a_decision_with_a_stepped_parameter_is_decided_again_without_a_difference(site: Site) -> None:
    site.make_empty_store()
    change = Change("workers_per_session", 2, 1, 8, "workers_per_session +2 within 1 to 8")
    fire(site, TuningRule(BOOST.match, TuningKind.STEP, BOOST.span, change=change))
    site.exporter.queued = 1
    site.run(cycles=2)
    assert "6 workers" in ask(site, "explain", "host-1").stdout
    assert "workers_per_session +2 within 1 to 8" in ask(site, "tuning", "list").stdout
    result = site.invoke("dry-run", "--from-decisions")
    assert result.exit_code == 0
    assert "decisions decided again: 2, differently: none" in result.stdout


class TestToken:
    """Who may use the API."""

    def test_is_printed_once_and_its_hash_is_in_the_file(self, site: Site) -> None:
        site.replace("hosts:", "api: {tokens_file: tokens}\nhosts:")
        result = ask(site, "token", "add", "grafana", "--scope", "alerts")
        assert result.exit_code == 0
        tokens = read_tokens(site.folder / "tokens")
        assert tokens["grafana"].scopes == {Scope.ALERTS}
        assert tokens["grafana"].is_of(result.stdout.strip())

    def test_of_a_name_that_is_there_is_exit_code_1(self, site: Site) -> None:
        site.replace("hosts:", "api: {tokens_file: tokens}\nhosts:")
        ask(site, "token", "add", "grafana", "--scope", "alerts")
        result = ask(site, "token", "add", "grafana", "--scope", "viewer")
        assert result.exit_code == 1
        assert "already: remove its line first" in result.stderr

    def test_is_listed_with_what_it_is_for_and_never_with_its_hash(self, site: Site) -> None:
        site.replace("hosts:", "api: {tokens_file: tokens}\nhosts:")
        ask(site, "token", "add", "grafana", "--scope", "alerts")
        ask(site, "token", "add", "anna", "--scope", "viewer", "--scope", "operator")
        values = ask(site, "token", "list", "--format", "json")
        assert json.loads(values.stdout) == [
            {"name": "grafana", "scopes": ["alerts"]},
            {"name": "anna", "scopes": ["operator", "viewer"]},
        ]
        table = ask(site, "token", "list").stdout
        assert "grafana" in table
        assert "operator, viewer" in table
        for token in read_tokens(site.folder / "tokens").values():
            for secret in (token.salt.hex(), token.digest.hex()):
                assert secret not in table + values.stdout

    def test_where_there_is_none_the_list_says_how_to_add_one(self, site: Site) -> None:
        site.replace("hosts:", "api: {tokens_file: tokens}\nhosts:")
        result = ask(site, "token", "list")
        assert result.stdout == f"{site.folder / 'tokens'} has no token, see autoscaler token add --help\n"
        assert json.loads(ask(site, "token", "list", "--format", "json").stdout) == []

    def test_a_list_of_a_file_that_is_no_tokens_file_is_exit_code_1(self, site: Site) -> None:
        site.replace("hosts:", "api: {tokens_file: tokens}\nhosts:")
        (site.folder / "tokens").write_text("a secret\n")
        result = ask(site, "token", "list")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "tokens:1: is not a line that `autoscaler token add` wrote" in result.stderr


def api_of(site: Site) -> str:
    """Where the running controller says that its API is."""
    give_up = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up:
        told = (site.folder / "log").read_text().partition("the API listens on ")[2].split("\n")[0]
        if told:
            return f"http://{told}"
        time.sleep(0.05)
    raise AssertionError("the API never came")


def test_an_alert_changes_the_running_controller_at_once(systemd: Systemd) -> None:
    site = systemd.site
    site.exporter.queued = 1
    site.replace("hosts:", SECTIONS)
    site.replace("interval: 100ms", "interval: 1h")
    token = add_token(site.folder / "tokens", "am", frozenset({Scope.ALERTS, Scope.VIEWER}))
    body = sample("alertmanager-firing")
    body["alerts"][0]["startsAt"] = datetime.now(UTC).isoformat()
    with running(systemd):
        systemd.hear("READY=1")
        url = api_of(site)
        answer = requests.post(f"{url}{ALERTMANAGER}", json=body, headers=bearer(token), timeout=DEADLINE_S)
        assert len(answer.json()["begun"]) == 1
        systemd.hear("WATCHDOG=1")
        state = requests.get(f"{url}/api/v1/state", headers=bearer(token), timeout=DEADLINE_S).json()
    assert state["hosts"][0]["wanted"] == 6
    assert "alert ProofQueueHigh (alertmanager): +2 workers until " in state["hosts"][0]["reason"]


def test_without_the_extra_the_api_is_exit_code_1_and_says_what_to_install(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [name for name in sys.modules if name.startswith("autoscaler.api.app")]:
        monkeypatch.delitem(sys.modules, name)
    site.replace("hosts:", SECTIONS)
    result = site.run(cycles=1)
    assert result.exit_code == 1
    assert "pip install 'vaf-autoscaler[api]'" in result.stderr


def test_an_api_that_has_no_token_yet_says_so_when_it_starts(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.replace("hosts:", SECTIONS)
    site.run(cycles=1)
    assert (
        f"nobody can use the API: {site.folder / 'tokens'} has no token, see autoscaler token add --help" in caplog.text
    )


def test_an_address_that_is_taken_is_no_bad_configuration_so_that_systemd_tries_again(site: Site) -> None:
    port = site.url.rpartition(":")[2].split("/")[0]
    site.replace("hosts:", SECTIONS.replace(":0", f":{port}"))
    result = site.run(cycles=1)
    assert result.exit_code == 4
    assert f"api.listen: 127.0.0.1:{port}: Address already in use" in result.stderr
