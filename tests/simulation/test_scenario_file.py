"""A scenario file loads, or every mistake in it is named by file, line, key and reason."""

import pickle
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoscaler.config.document import ConfigError
from autoscaler.model import GuardLimits
from autoscaler.simulation.constants import PHYSICS, Physics
from autoscaler.simulation.scenario import PolicyChoice, Price
from autoscaler.simulation.scenario_file import LoadedScenario, TraceUse, load_scenario
from autoscaler.simulation.scenario_schema import SpeedsSection

MINIMAL = """\
hosts:
  - name: old
    count: 2
    cores: 8
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    job_slots: 8
    proof:
      dormant_memory: 572 MiB
      memory_per_worker: 792 MiB
      workers_max: 8
    wn:
      memory_floor: 572 MiB
      memory_max: 6911 MiB
price: {wait_core_seconds: 8}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "scenario.yaml"


def loaded(file: Path, text: str) -> LoadedScenario:
    file.write_text(text, encoding="utf-8")
    return load_scenario(file)


def problems(file: Path, text: str) -> list[str]:
    """What is wrong with the text, one sentence each, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, text)
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    return [problem.removeprefix(f"{file}").removeprefix(":").strip() for problem in caught.value.problems]


def replaced(old: str, new: str) -> str:
    """The minimal file with one thing changed."""
    assert old in MINIMAL
    return MINIMAL.replace(old, new, 1)


def test_a_minimal_file_gives_machines_the_price_and_the_defaults(file: Path) -> None:
    scenario = loaded(file, MINIMAL).scenario
    assert [machine.host.name for machine in scenario.machines] == ["old-001", "old-002"]
    first = scenario.machines[0]
    assert (first.cores, first.job_slots, first.wn_base_mib) == (8, 8, 256)
    assert first.host.domain_names == ("old-001-proof", "old-001-wn")
    assert (first.host.memory_total_mib, first.host.proof.workers_max, first.host.wns[0].memory_max_mib) == (
        8056,
        8,
        6911,
    )
    assert scenario.workers_max == 16
    assert scenario.price == Price(8)
    assert (scenario.interval, scenario.reading_age) == (timedelta(seconds=60), timedelta(seconds=15))
    assert (scenario.limits, scenario.physics, scenario.storage_bytes_per_s) == (GuardLimits(), PHYSICS, None)


def test_a_minimal_file_takes_the_traces_as_they_are(file: Path) -> None:
    assert loaded(file, MINIMAL).traces == TraceUse(None, 0, 700, None, (0.0, 1.0))
    assert loaded(file, MINIMAL).policies == {}


def test_what_the_traces_do_not_say_is_read(file: Path) -> None:
    text = """\
proof: {workers_per_session: 4, read_rate_per_worker: 10 MB/s}
jobs: {memory: 1 GiB}
storage: {bandwidth: 1 GB/s, trace_time_zone: Europe/Rome}
piece: {from: 0.5, to: 0.75}
"""
    found = loaded(file, MINIMAL + text)
    assert found.traces == TraceUse(4, 10_000_000, 1024, ZoneInfo("Europe/Rome"), (0.5, 0.75))
    assert found.scenario.storage_bytes_per_s == 1_000_000_000


def test_several_worker_nodes_are_a_list_and_numbered(file: Path) -> None:
    text = replaced(
        "    wn:\n      memory_floor: 572 MiB\n      memory_max: 6911 MiB\n",
        "    wn: [&a {memory_floor: 200 MiB, memory_max: 3 GiB}, *a]\n",
    )
    assert loaded(file, text).scenario.machines[0].host.domain_names == (
        "old-001-proof",
        "old-001-wn-1",
        "old-001-wn-2",
    )


def test_policies_have_labels_and_keep_their_parameters_as_written(file: Path) -> None:
    text = "policies:\n  quick: {name: threshold, idle: 1m, grow_running: 1.5}\n  none: {name: static, workers: 0}\n"
    policies = loaded(file, MINIMAL + text).policies
    assert policies == {
        "quick": PolicyChoice("quick", "threshold", {"idle": "1m", "grow_running": 1.5}),
        "none": PolicyChoice("none", "static", {"workers": 0}),
    }
    assert pickle.loads(pickle.dumps(policies)) == policies


def test_speeds_replace_constants_of_the_model(file: Path) -> None:
    physics = loaded(file, MINIMAL + "speeds: {balloon_swap_mib_per_s: 50, cold_ratio: 0}\n").scenario.physics
    assert (physics.balloon_swap_mib_per_s, physics.cold_ratio, physics.step_s) == (50, 0, PHYSICS.step_s)


def test_every_constant_of_the_model_can_be_replaced() -> None:
    assert set(SpeedsSection.model_fields) == {field.name for field in fields(Physics)}
    assert SpeedsSection().physics() == PHYSICS


MISTAKES = {
    "an unknown key": (MINIMAL + "polices: {}\n", "16: polices: unknown key (did you mean 'policies'?)"),
    "a domain's name": (
        replaced("    wn:\n", "    wn:\n      domain: wn\n"),
        "13: hosts[0].wn.domain: unknown key",
    ),
    "a rate without its unit": (
        MINIMAL + "storage:\n  bandwidth: 1 GB\n",
        "17: storage.bandwidth: '1 GB' is not a rate: write one such as '10 MB/s' or '1.5 GB/s'",
    ),
    "a storage that gives nothing": (
        MINIMAL + "storage: {bandwidth: 0 B/s}\n",
        "16: storage.bandwidth: must be more than 0",
    ),
    "a missing price": (replaced("price: {wait_core_seconds: 8}\n", ""), "1: price: is missing"),
    "a negative price": (replaced("seconds: 8", "seconds: -8"), "15: price.wait_core_seconds: must be 0 or more"),
    "no machines": (replaced("count: 2", "count: 0"), "3: hosts[0].count: must be 1 or more"),
    "machines that do not fit": (
        replaced("workers_max: 8", "workers_max: 9"),
        "2: hosts[0]: PROOF with 9 workers and the floor of the Worker Nodes need 8272 MiB, but memory_total",
    ),
    "two groups of one name": (
        replaced("price:", MINIMAL.partition("\n")[2].partition("price:")[0] + "price:"),
        "15: hosts[1].name: the name 'old' is used more than once, as in hosts[0]",
    ),
    "an alias of a group": (
        MINIMAL.replace("  - name", "  - &a\n    name").replace("price:", "  - *a\nprice:"),
        "3: hosts[1].name: the name 'old' is used more than once, as in hosts[0]",
    ),
    "a piece that ends before it begins": (
        MINIMAL + "piece: {from: 0.8, to: 0.2}\n",
        "16: piece: from must be less than to",
    ),
    "a piece beyond the trace": (MINIMAL + "piece: {from: 80}\n", "16: piece.from: must be 1 or less"),
    "a time zone that is none": (
        MINIMAL + "storage: {trace_time_zone: Europe/Turin}\n",
        "16: storage.trace_time_zone: 'Europe/Turin' is no time zone that is known here, such as Europe/Rome",
    ),
    "a speed of nothing": (MINIMAL + "speeds: {step_s: 0}\n", "16: speeds.step_s: must be more than 0"),
    "a policy that is not installed": (
        MINIMAL + "policies:\n  best: {name: orakel}\n",
        "17: policies.best.name: no policy is called 'orakel'; installed are ",
    ),
    "a policy parameter it does not have": (
        MINIMAL + "policies:\n  best:\n    name: static\n    wokers: 4\n",
        "19: policies.best.wokers: unknown key; policy static has workers",
    ),
    "a state that the model does not know": (
        replaced("workers_max: 8", "workers_max: 8\n      dormant_state: saved"),
        "2: hosts[0]: proof.dormant_state: the model knows only running",
    ),
    "readings that are never fresh": (
        MINIMAL + "reading_age: 2m\n",
        "1: file: reading_age is above guards.fresh_for: every reading would be unknown, and nothing moves",
    ),
    "nothing": ("", "is empty or not a mapping of sections"),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem)


def test_all_mistakes_are_named_at_once(file: Path) -> None:
    text = MINIMAL.replace("573 MiB", "573").replace("cores: 8", "cores: many") + "zzz: 1\n"
    assert [problem.partition(" ")[0] for problem in problems(file, text)] == ["4:", "6:", "16:"]
    policies = "policies:\n  a: {name: x}\n  b: {name: y}\n"
    assert [problem.partition(" ")[0] for problem in problems(file, MINIMAL + policies)] == ["17:", "18:"]


SECTIONS = ["interval", "guards", "hosts", "proof", "jobs", "storage", "price", "piece", "speeds", "policies"]
KEYS = [
    "name",
    "count",
    "bandwidth",
    "trace_time_zone",
    "from",
    "to",
    "step_s",
    "workers",
    "idle",
    "wn",
    "proof",
    "memory",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SECTIONS), anything)
def test_any_structure_loads_or_is_refused_with_sentences(file: Path, section: str, value: object) -> None:
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(f"{section}:")]
    text = "\n".join(lines) if section != "hosts" else "price: {wait_core_seconds: 8}"
    with suppress(ConfigError):
        assert isinstance(loaded(file, f"{text}\n{section}: {as_yaml(value)}\n"), LoadedScenario)


def as_yaml(value: object) -> str:
    """The value in YAML's one-line form."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_yaml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(as_yaml(each) for each in value) + "]"
    return repr(value)
