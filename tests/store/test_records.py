"""Decisions as JSON: what is written today, and what older versions have written."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from autoscaler.model import (
    Allocation,
    Decision,
    Demand,
    DomainObservation,
    HostDecision,
    HostObservation,
    HostState,
    Opinion,
    Situation,
    Step,
    StepKind,
    Transfer,
    Window,
)
from autoscaler.store.records import decision_from_json, decision_to_json

NOW = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)
SMALL, LARGE = Allocation(572, 32, 1.0), Allocation(1364, 256)
DECISION = Decision(
    NOW,
    "Static(workers=1)",
    Situation(
        Window(NOW, memory={"loads": (1.0, None)}),
        (HostObservation("host-1", HostState.READY, (DomainObservation("proof", SMALL, 6908, 8, 1.5),)),),
    ),
    Demand(1, "one worker \u2013 as ever"),
    (
        HostDecision(
            *("host-1", 0, 1, 1, "grow"),
            transfer=Transfer("host-1", 0, 1, 7483, (Step(StepKind.GROW, "proof", SMALL, LARGE),)),
        ),
    ),
)
# As it was written when pydantic did so, by a version that knew neither tunings nor memories.
OLD = """
{"at":"2026-11-24T12:00:00.250000Z","policy":"Static(workers=1)","situation":{"window":{"now":
"2026-11-24T12:00:00.250000Z","series":[],"memory":{"loads":[1.0,null]}},"hosts":[{"host":"host-1","state":"ready",
"domains":[{"name":"proof","allocation":{"memory_mib":572,"cpu_weight":32,"cpu_cap_cores":1.0},"memory_max_mib":6908,
"vcpus":8,"cpu_time_s":1.5,"used_mib":null,"asked_mib":null,"state":"running","start_mib":0,"pressure":null}],
"unmanaged_mib":0,"problem":null,"moving_to_workers":null,"memory_total_mib":null,"cores":null,"control_mib":0}],
"timers":[]},"demand":{"workers":1,"reason":"one worker \u2013 as ever","may_shrink":true},"hosts":[{"host":"host-1",
"current":0,"wanted":1,"granted":1,"reason":"grow","cuts":[],"transfer":{"host":"host-1","workers_from":0,
"workers_to":1,"memory_for_guests_mib":7483,"steps":[{"kind":"grow","domain":"proof","before":{"memory_mib":572,
"cpu_weight":32,"cpu_cap_cores":1.0},"after":{"memory_mib":1364,"cpu_weight":256,"cpu_cap_cores":null},
"keep_usable_mib":null,"swap_down_to_mib":0,"state":null}],"probe":null}}],"unplaced_workers":0,"error":null}
"""


def test_a_decision_of_an_older_version_is_read() -> None:
    assert decision_from_json(OLD) == DECISION


def test_a_decision_is_written_with_the_fields_of_older_versions_and_those_that_came_since() -> None:
    old, new = json.loads(OLD), json.loads(decision_to_json(DECISION))
    assert new == {
        **old,
        "situation": {
            **old["situation"],
            "memories": {},
            "orders": {"pauses": [], "overrides": []},
            "tunings": [],
            "unknown_since": {},
            "quiet": [],
        },
        "memory": {},
        "opinions": [],
        "safe_split": None,
        "model": None,
        "placed": None,
    }


@pytest.mark.parametrize(
    ("written", "policy", "model"),
    [
        ("Learned(hold=5, model='1 aabbcc')", "Learned(hold=5)", "1 aabbcc"),
        ("Learned(hold=5, model=None)", "Learned(hold=5)", "none"),
        ("Ours(model='2 bb', hold=5)", "Ours(hold=5)", "2 bb"),
        ("Threshold(idle=5)", "Threshold(idle=5)", None),
    ],
)
def test_a_policy_that_was_written_with_its_model_is_read_with_the_model_beside_it(
    written: str, policy: str, model: str | None
) -> None:
    found = decision_from_json(decision_to_json(replace(DECISION, policy=written)))
    assert (found.policy, found.model) == (policy, model)


def test_the_model_of_an_old_decision_is_found_with_its_shadows() -> None:
    shadow = Opinion("next", "Learned(hold=5, model='1 aa')", Demand(1, "so"))
    found = decision_from_json(decision_to_json(replace(DECISION, opinions=(shadow,))))
    assert (found.opinions[0].policy, found.model) == ("Learned(hold=5)", "1 aa")


def test_numbers_that_a_policy_has_from_numpy_are_written_as_numbers() -> None:
    demand = Demand(np.int64(3), "as reckoned")  # type: ignore[arg-type]
    decision = replace(DECISION, demand=demand, memory={"loads": (np.float64(0.5), np.float32(0.25))})  # type: ignore[dict-item]
    assert decision_from_json(decision_to_json(decision)) == replace(
        DECISION, demand=Demand(3, "as reckoned"), memory={"loads": (0.5, 0.25)}
    )


def test_a_whole_number_may_have_been_written_as_a_fraction() -> None:
    assert decision_from_json(OLD.replace('"vcpus":8', '"vcpus":8.0')) == DECISION


@pytest.mark.parametrize("text", ["", "{}", "[]", OLD.replace("572", '"much"'), OLD[:-30]])
def test_what_is_no_decision_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decision_from_json(text)
