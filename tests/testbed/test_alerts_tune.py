"""A real Alertmanager, with the routes of deploy/, tells the API of an alert, with its token, and that it is over."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import requests
from ruamel.yaml import YAML

from autoscaler.config.api_section import ApiSection
from tests.api.facility import ALERTMANAGER, GRAFANA, TOP, ApiUnderTest, api_at
from tests.testbed.alertmanager_server import DEADLINE_S, alertmanager
from tests.testbed.processes import wait_until

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


def wait_for(api: ApiUnderTest, boosts: list[int]) -> None:
    wait_until(lambda: api.boosts() == boosts, DEADLINE_S, f"the boosts {boosts}")


def refused(api: ApiUnderTest) -> float:
    """How often Alertmanager was told to come less often: the flood goes to another path."""
    return api.counted("api_requests", path=ALERTMANAGER, status="429")


def tell_while_flooded(api: ApiUnderTest, address: str, begins: datetime, ends: datetime) -> None:
    """Ask with Alertmanager's own token until nothing is left of its minute, tell, and go on until it was refused.

    Were its notification answered 200 instead, no other would come, and this would wait in vain.
    """
    before = refused(api)

    def drained() -> bool:
        while api.post(GRAFANA, {}).status_code != HTTPStatus.TOO_MANY_REQUESTS:
            pass
        return refused(api) > before

    drained()
    tell(address, begins, ends)
    wait_until(drained, DEADLINE_S, "Alertmanager's 429")


@contextmanager
def beside_alertmanager(scratch: Path, now: datetime) -> Iterator[tuple[ApiUnderTest, str]]:
    """The API, and the address of the Alertmanager that tells it."""
    api = ApiUnderTest(scratch, now=now)
    with (
        closing(api.store),
        api_at(ApiSection(listen="127.0.0.1:0"), api.client.app) as listens,
        alertmanager(scratch, configured(scratch, listens, api.alerts)) as address,
    ):
        yield api, address


def test_an_alert_of_a_real_alertmanager_begins_a_boost_and_its_end_undoes_it(scratch: Path) -> None:
    begins = datetime.now(UTC)
    with beside_alertmanager(scratch, begins) as (api, address):
        tell(address, begins, begins + timedelta(hours=1))
        wait_for(api, [8])
        tell(address, begins, datetime.now(UTC))
        wait_for(api, [])
    assert api.rung == 2
    assert api.counted("alerts", source="alertmanager", result="ended") == 1


def test_what_a_real_alertmanager_was_refused_with_429_it_tells_again_so_that_nothing_is_lost(scratch: Path) -> None:
    begins = datetime.now(UTC)
    with beside_alertmanager(scratch, begins) as (api, address):
        tell_while_flooded(api, address, begins, begins + timedelta(hours=1))
        wait_for(api, [8])
        tell_while_flooded(api, address, begins, datetime.now(UTC))
        wait_for(api, [])
    assert api.counted("alerts", source="alertmanager", result="ended") == 1
