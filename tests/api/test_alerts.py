"""Webhooks of Grafana and Alertmanager: what they begin and end, and what never changes anything."""

import logging
from datetime import timedelta

import pytest

from autoscaler.api.app import MOST_LOGGED
from autoscaler.store.records import tuning_to_json
from tests.api.facility import ALERTMANAGER, GRAFANA, ApiUnderTest, sample


@pytest.mark.parametrize(
    ("path", "body", "source"),
    [(GRAFANA, "grafana", "grafana"), (ALERTMANAGER, "alertmanager-firing", "alertmanager")],
)
def test_a_firing_alert_that_a_rule_knows_begins_its_tuning_and_rings_the_bell(
    api: ApiUnderTest, path: str, body: str, source: str
) -> None:
    answer = api.post(path, sample(body))
    assert answer.status_code == 200
    words = f"alert ProofQueueHigh ({source}): +8 workers until 2026-11-22 13:28:00 UTC"
    assert answer.json()["begun"] == [words]
    assert (api.boosts(), api.rung) == ([8], 1)
    assert api.counted("alerts", source=source, result="begun") == 1
    assert api.counted("api_requests", path=path, status="200") == 1


def test_the_same_alert_again_begins_nothing_and_rings_nothing(api: ApiUnderTest) -> None:
    api.post(GRAFANA, sample("grafana"))
    answer = api.post(GRAFANA, sample("grafana"))
    assert (answer.status_code, answer.json()["begun"], answer.json()["known"]) == (200, [], 1)
    assert (api.boosts(), api.rung) == ([8], 1)


def test_resolved_ends_it_and_a_replay_of_firing_does_not_begin_it_again(api: ApiUnderTest) -> None:
    api.post(ALERTMANAGER, sample("alertmanager-firing"))
    assert len(api.post(ALERTMANAGER, sample("alertmanager-resolved")).json()["ended"]) == 1
    assert api.post(ALERTMANAGER, sample("alertmanager-firing")).json()["begun"] == []
    assert (api.boosts(), api.rung) == ([], 2)


def test_an_alert_that_no_rule_knows_is_answered_and_counted_and_changes_nothing(api: ApiUnderTest) -> None:
    answer = api.post(ALERTMANAGER, sample("alertmanager-two-alerts"))
    assert answer.status_code == 200
    assert {each["reason"] for each in answer.json()["ignored"]} == {"no rule of tuning matches its labels"}
    assert (api.boosts(), api.rung) == ([], 0)
    assert api.counted("alerts", source="alertmanager", result="ignored") == 2


def test_an_alert_that_fires_for_want_of_data_changes_nothing(api: ApiUnderTest) -> None:
    body = sample("grafana")
    body["alerts"][0]["annotations"]["grafana_state_reason"] = "NoData"
    assert "nothing is known" in api.post(GRAFANA, body).json()["ignored"][0]["reason"]
    assert api.boosts() == []


def test_names_without_end_are_told_apart_and_do_not_make_decisions_large(api: ApiUnderTest) -> None:
    body = sample("grafana")
    for end in "ab":
        body["groupKey"] = body["alerts"][0]["fingerprint"] = "x" * 100_000 + end
        assert len(api.post(GRAFANA, body).json()["begun"]) == 1
        assert api.post(GRAFANA, body).json()["known"] == 1
    (tuning,) = api.store.tunings(api.now)
    assert len(tuning_to_json(tuning)) < 1000


def test_what_was_begun_is_in_force_after_a_restart(api: ApiUnderTest) -> None:
    api.post(GRAFANA, sample("grafana"))
    api.client = api.start()
    assert api.post(GRAFANA, sample("grafana")).json()["known"] == 1
    assert api.boosts() == [8]


def test_a_thousand_alerts_of_one_rule_are_one_boost(api: ApiUnderTest) -> None:
    body = sample("grafana")
    one = body["alerts"][0]
    body["alerts"] = [{**one, "fingerprint": f"{number:016x}"} for number in range(1000)]
    assert len(api.post(GRAFANA, body).json()["begun"]) == 1000
    assert (api.boosts(), api.rung) == ([8], 1)


def test_the_log_names_some_of_many_alerts_and_says_how_many_were_left_out(
    api: ApiUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "autoscaler")
    body = sample("alertmanager-firing")
    one = body["alerts"][0]
    body["alerts"] = [{**one, "fingerprint": f"{number:016x}"} for number in range(MOST_LOGGED + 5)]
    body["truncatedAlerts"] = 7
    api.post(ALERTMANAGER, body)
    assert len(caplog.messages) == MOST_LOGGED + 2
    assert caplog.messages[-2:] == [
        "begun: 5 more",
        "alertmanager left 7 alerts out of a webhook: they begin and end nothing",
    ]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{", "the body: "),
        ("[]", "the body: "),
        ("", "the body: "),
        ("[" * 100_000, "the body: "),
        ("{}", "version: is missing: grafana sends '1'"),
        ('{"version": "4"}', "version '4' of the webhook is not known: grafana sends '1'"),
        ('{"version": 1}', "version 1 of the webhook is not known: grafana sends '1'"),
        ('{"version": "1"}', "groupKey: is missing"),
        ('{"version": "1", "groupKey": "", "alerts": [], "truncatedAlerts": true}', "truncatedAlerts: "),
        ('{"version": "1", "groupKey": "", "alerts": [{}]}', "alerts[0].status: is missing"),
    ],
)
def test_a_body_that_is_not_understood_is_400_with_a_sentence(api: ApiUnderTest, body: str, sentence: str) -> None:
    answer = api.post(GRAFANA, body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert api.counted("api_requests", path=GRAFANA, status="400") == 1


@pytest.mark.parametrize("at", ["yesterday", "2026-11-22T11:26:36", "0001-01-01T00:00:00+14:00", 1e300])
def test_an_alert_whose_begin_is_no_instant_is_400(api: ApiUnderTest, at: object) -> None:
    body = sample("grafana")
    body["alerts"][0]["startsAt"] = at
    answer = api.post(GRAFANA, body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("alerts[0].startsAt: ")
    assert api.boosts() == []


def test_one_alert_that_is_not_understood_keeps_all_from_being_begun(api: ApiUnderTest) -> None:
    body = sample("grafana")
    body["alerts"].append({"status": "pending"})
    assert api.post(GRAFANA, body).status_code == 400
    assert api.boosts() == []


def test_a_body_of_ten_megabytes_is_413_whether_it_says_so_or_not(api: ApiUnderTest) -> None:
    large = b" " * 10 * 1024**2
    assert api.post(GRAFANA, large).status_code == 413
    pieces = (large[:65_536] for _ in range(160))
    headers = {"Authorization": f"Bearer {api.alerts}"}
    answer = api.client.post(GRAFANA, content=pieces, headers=headers)
    assert (answer.status_code, answer.json()) == (413, {"error": "a body has 1048576 bytes at most"})
    assert api.counted("api_requests", path=GRAFANA, status="413") == 2


def test_a_flood_is_429_with_a_sentence_and_says_when_to_come_again(api: ApiUnderTest) -> None:
    answers = [api.post(GRAFANA, sample("grafana")) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["error"].startswith("more than 5 requests a minute: try again in ")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
    assert api.counted("api_requests", path=GRAFANA, status="429") == 1


def test_a_store_that_fails_is_503_so_that_the_alert_comes_again(api: ApiUnderTest) -> None:
    api.store.close()
    (api.folder / "decisions.sqlite").write_bytes(b"garbage" * 1000)
    answer = api.post(GRAFANA, sample("grafana"))
    assert answer.status_code == 503
    assert "decisions.sqlite" in answer.json()["error"]


def test_what_nobody_has_foreseen_is_500_with_a_sentence_and_counted(api: ApiUnderTest) -> None:
    api.now = None  # type: ignore[assignment]
    answer = api.post(GRAFANA, sample("grafana"))
    assert (answer.status_code, answer.json()) == (500, {"error": "unexpected TypeError: see the controller's log"})
    assert api.counted("api_requests", path=GRAFANA, status="500") == 1


def test_an_alert_of_last_week_is_ignored(api: ApiUnderTest) -> None:
    api.now += timedelta(days=8)
    answer = api.post(GRAFANA, sample("grafana"))
    assert answer.json()["ignored"] == [{"alert": "ProofQueueHigh", "reason": "it began more than 7 days ago"}]
