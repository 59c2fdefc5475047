"""What an operator may do: read, and undo what alerts and sessions change."""

import pytest

from tests.api.facility import GRAFANA, SESSIONS, ApiUnderTest, bearer, sample

PATH = "/api/v1/tunings"


def undo(api: ApiUnderTest, name: str, token: str | None = None) -> tuple[int, dict[str, object]]:
    answer = api.client.delete(PATH, params={"name": name}, headers=bearer(token or api.operator))
    return answer.status_code, answer.json()


def test_an_operator_ends_what_an_alert_changes_and_a_replay_does_not_begin_it_again(api: ApiUnderTest) -> None:
    api.post(GRAFANA, sample("grafana"))
    assert undo(api, "ProofQueueHigh") == (200, {"undone": ["boost on alertname=ProofQueueHigh"]})
    api.post(GRAFANA, sample("grafana"))
    assert (api.boosts(), api.rung) == ([], 2)


def test_an_operator_ends_an_announced_session(api: ApiUnderTest) -> None:
    api.post(SESSIONS, {"id": "s1", "workers": 4, "wait_s": 0}, api.opener)
    assert undo(api, "s1") == (200, {"undone": ["session s1"]})
    assert api.boosts() == []


def test_of_what_changes_nothing_there_is_nothing_to_undo(api: ApiUnderTest) -> None:
    status, body = undo(api, "Nobody")
    assert (status, body) == (404, {"error": "no alert and no session that is called 'Nobody' changes anything"})
    assert api.rung == 0


@pytest.mark.parametrize("who", ["viewer", "alerts", "opener"])
def test_nobody_else_may(api: ApiUnderTest, who: str) -> None:
    api.post(GRAFANA, sample("grafana"))
    status, body = undo(api, "ProofQueueHigh", getattr(api, who))
    assert status == 403
    assert str(body["error"]).endswith("is not for this: its scope is not operator")
    assert api.boosts() == [8]


def test_an_operator_reads_what_a_viewer_reads(api: ApiUnderTest) -> None:
    assert api.get("/api/v1/decisions", api.operator).json() == []
    assert api.post(GRAFANA, sample("grafana"), api.operator).status_code == 403
