"""What can be read: the state, decisions in short, one in full, whether the API answers."""

from dataclasses import replace

from autoscaler.model import Decision, Demand, HostDecision, Situation
from autoscaler.testing import a_host, observed, proof_window
from tests.api.facility import GRAFANA, ApiUnderTest, sample


def record(api: ApiUnderTest) -> int:
    """A decision that changes nothing."""
    window, seen = proof_window([1.0], [0.0], now=api.now), (observed(a_host()),)
    hosts = (HostDecision("host-1", 0, 4, 4, "grow: one waits"),)
    return api.store.record_decision(Decision(api.now, "Threshold()", Situation(window, seen), Demand(4, "one"), hosts))


def test_the_state_is_that_of_the_newest_decision_with_the_tunings_and_their_alerts(api: ApiUnderTest) -> None:
    number = record(api)
    api.post(GRAFANA, sample("grafana"))
    found = api.get("/api/v1/state").json()
    assert (found["number"], found["demand"], found["age_s"]) == (number, 4, 0.0)
    assert (found["hosts"][0]["host"], found["hosts"][0]["granted"]) == ("host-1", 4)
    (tuning,) = found["tunings"]
    assert (tuning["alert"], tuning["source"], tuning["doing"]) == ("ProofQueueHigh", "grafana", "+8 workers")
    assert tuning["fingerprint"] == "9b395dd0ef7339de"


def test_what_was_made_of_the_demand_is_told_beside_it(api: ApiUnderTest) -> None:
    number = record(api)
    plain = api.get("/api/v1/state").json()
    decision = api.store.record(number).decision
    api.store.record_decision(replace(decision, placed=Demand(12, "one; an alert", may_shrink=False)))
    tuned = api.get("/api/v1/state").json()
    assert (plain["demand"], plain["placed"]) == (4, None)
    assert (tuned["demand"], tuned["reason"]) == (4, "one")
    assert tuned["placed"] == {"workers": 12, "reason": "one; an alert", "may_shrink": False}
    assert api.get(f"/api/v1/explain/{number + 1}").json()["placed"] == tuned["placed"]


def test_a_host_has_the_keys_that_it_has_in_status(api: ApiUnderTest) -> None:
    number = record(api)
    (host,) = api.get("/api/v1/state").json()["hosts"]
    assert host == api.store.record(number).host_values()[0]
    assert (host["change"], host["domains"]) == ("no change", {"proof": "running", "wn": "running"})


def test_without_a_decision_there_is_no_state(api: ApiUnderTest) -> None:
    answer = api.get("/api/v1/state")
    assert (answer.status_code, answer.json()) == (404, {"error": "there is no decision yet"})


def test_decisions_are_the_newest_ones_oldest_first(api: ApiUnderTest) -> None:
    numbers = [record(api) for _ in range(3)]
    assert [each["number"] for each in api.get("/api/v1/decisions?limit=2").json()] == numbers[1:]


def test_a_limit_that_is_none_is_400_with_a_sentence(api: ApiUnderTest) -> None:
    said = {"0": "must be 1 or more", "101": "must be 100 or less", "many": "'many' is not a whole number"}
    for limit, sentence in said.items():
        answer = api.get(f"/api/v1/decisions?limit={limit}")
        assert (answer.status_code, answer.json()) == (400, {"error": f"limit: {sentence}"})


def test_one_decision_is_told_in_full(api: ApiUnderTest) -> None:
    number = record(api)
    found = api.get(f"/api/v1/explain/{number}").json()
    assert (found["number"], found["hosts"][0]["reason"], found["outcomes"]) == (number, "grow: one waits", [])


def test_a_decision_that_is_not_there_is_404(api: ApiUnderTest) -> None:
    answer = api.get("/api/v1/explain/7")
    assert answer.status_code == 404
    assert answer.json()["error"].endswith("holds no decision 7")
    assert api.counted("api_requests", path="/api/v1/explain/{number}", status="404") == 1


def test_nothing_but_its_health_and_its_description_is_told_without_a_token(api: ApiUnderTest) -> None:
    assert api.client.get("/healthz").json() == {"status": "ok"}
    paths = api.client.get("/api/v1/openapi.json").json()["paths"]
    for path in paths.keys() - {"/healthz"}:
        for method in paths[path]:
            assert api.client.request(method, path.replace("{number}", "1")).status_code == 401


def test_a_path_that_is_not_there_is_404_with_a_sentence_and_counted_as_other(api: ApiUnderTest) -> None:
    answer = api.get("/api/v2/state")
    assert (answer.status_code, answer.json()) == (404, {"error": "GET /api/v2/state: Not Found"})
    assert api.counted("api_requests", path="other", status="404") == 1
