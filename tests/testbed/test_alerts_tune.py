"""A real Alertmanager, with the routes of deploy/, tells the API of an alert, with its token, and that it is over."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import requests
from ruamel.yaml import YAML

from autoscaler.config.api_section import ApiSection
from tests.api.facility import ALERTMANAGER, GRAFANA, TOP, ApiUnderTest, api_at
from tests.testbed.alertmanager_server import DEADLINE_S, alertmanager

ALERTMANAGER_FILE = TOP / "deploy" / "alertmanager" / "alertmanager.yml"


def configured(scratch: Path, address: tuple[str, int], token: str) -> Path:
    """The file of deploy/ with where the API is here, and its token."""
    yaml, file, secret = YAML(typ="safe"), scratch / "alertmanager.yml", scratch / "token"
    config = yaml.load(ALERTMANAGER_FILE)
    (mine,) = [each for each in config["receivers"] if each["name"] == "autoscaler"]
    (hook,) = mine["webhook_configs"]
    assert hook["url"].endswith(f":9630{ALERTMANAGER}")
    hook["url"] = f"http://{address[0]}:{address[1]}{ALERTMANAGER}"
    secret.write_text(f"{token}\n")
    hook["http_config"]["authorization"]["credentials_file"] = str(secret)
    yaml.dump(config, file)
    return file


def tell(address: str, begins: datetime, ends: datetime) -> None:
    alert = {
        "labels": {"alertname": "ProofQueueHigh", "tunes": "autoscaler"},
        "startsAt": begins.isoformat(),
        "endsAt": ends.isoformat(),
    }
    requests.post(f"http://{address}/api/v2/alerts", json=[alert], timeout=DEADLINE_S).raise_for_status()


def wait_until(met: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while not met():
        assert time.monotonic() < give_up, f"{what} never came"
        time.sleep(0.1)


def wait_for(api: ApiUnderTest, boosts: list[int]) -> None:
    wait_until(lambda: api.boosts() == boosts, f"{boosts}")


def refused(api: ApiUnderTest) -> float:
    """How often Alertmanager was told to come less often: the flood goes to another path."""
    return api.counted("api_requests", path=ALERTMANAGER, status="429")


def flood_until_alertmanager_is_refused(api: ApiUnderTest) -> None:
    """Ask with Alertmanager's own token, again and again, so that nothing is left of its minute.

    Were its notification answered 200 instead, no other would come, and this would wait in vain.
    """
    before = refused(api)

    def met() -> bool:
        while api.post(GRAFANA, {}).status_code != HTTPStatus.TOO_MANY_REQUESTS:
            pass
        return refused(api) > before

    wait_until(met, "Alertmanager's 429")


def test_an_alert_of_a_real_alertmanager_begins_a_boost_and_its_end_undoes_it(scratch: Path) -> None:
    begins = datetime.now(UTC)
    api = ApiUnderTest(scratch, now=begins)
    with closing(api.store), api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as listens:
        config = configured(scratch, listens, api.alerts)
        with alertmanager(scratch, config) as address:
            tell(address, begins, begins + timedelta(hours=1))
            wait_for(api, [8])
            tell(address, begins, datetime.now(UTC))
            wait_for(api, [])
    assert api.rung == 2
    assert api.counted("alerts", source="alertmanager", result="ended") == 1


def test_what_a_real_alertmanager_was_refused_with_429_it_tells_again_so_that_nothing_is_lost(scratch: Path) -> None:
    begins = datetime.now(UTC)
    api = ApiUnderTest(scratch, now=begins)
    with closing(api.store), api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as listens:
        config = configured(scratch, listens, api.alerts)
        with alertmanager(scratch, config) as address:
            tell(address, begins, begins + timedelta(hours=1))
            flood_until_alertmanager_is_refused(api)
            wait_for(api, [8])
            tell(address, begins, datetime.now(UTC))
            flood_until_alertmanager_is_refused(api)
            wait_for(api, [])
    assert api.counted("alerts", source="alertmanager", result="ended") == 1
