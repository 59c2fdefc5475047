"""The sections ``tuning`` and ``api``: what they say, and what is refused in words."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.config.load import ConfigError, load
from autoscaler.core.tuning import TuningRule
from autoscaler.model import Change, Direction, TuningKind

TOP = Path(__file__).parents[2]
MATCH = "match: {alertname: HighQueue}, for: 2h"


def written(folder: Path, section: str) -> Path:
    """The example configuration, with a section more."""
    file = folder / "autoscaler.yaml"
    file.write_text((TOP / "deploy" / "autoscaler.yaml").read_text() + section)
    return file


def rules(folder: Path, *tunings: str) -> tuple[TuningRule, ...]:
    lines = "".join(f"  - {{{each}}}\n" for each in tunings)
    return load(written(folder, f"\ntuning:\n{lines}")).config.tuning_rules()


def test_a_boost_and_a_cap_are_of_the_facility(tmp_path: Path) -> None:
    labels = {"alertname": "HighQueue"}
    boost, cap = rules(tmp_path, f"{MATCH}, action: {{boost_workers: 8}}", f"{MATCH}, action: {{cap_workers: 16}}")
    assert boost == TuningRule(labels, TuningKind.BOOST, timedelta(hours=2), 8)
    assert cap == TuningRule(labels, TuningKind.CAP, timedelta(hours=2), 16)


def test_a_freeze_is_of_all_hosts_or_of_those_of_a_name(tmp_path: Path) -> None:
    everybody, one = rules(
        tmp_path,
        f"{MATCH}, action: {{freeze: shrink, hosts: all}}",
        f"{MATCH}, action: {{freeze: grow, hosts: vaf-dom0-001}}",
    )
    assert (everybody.direction, len(everybody.hosts), everybody.where) == (Direction.SHRINK, 3, "all hosts")
    assert (one.direction, one.hosts, one.where) == (Direction.GROW, ("vaf-dom0-001",), "vaf-dom0-001")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (f"tuning: [{{{MATCH}, action: {{}}}}]", "give one of boost_workers, cap_workers, freeze, step and price"),
        (f"tuning: [{{{MATCH}, action: {{boost_workers: 1, cap_workers: 2}}}}]", "give one of boost_workers"),
        (f"tuning: [{{{MATCH}, action: {{boost_workers: 0}}}}]", "must be 1 or more"),
        (f"tuning: [{{{MATCH}, action: {{freeze: grow}}}}]", "freeze wants hosts: a host, a group, or all"),
        (f"tuning: [{{{MATCH}, action: {{freeze: grow, hosts: vaf}}}}]", "tuning[0].action.hosts: no host or group"),
        ("tuning: [{match: {}, for: 1h, action: {boost_workers: 1}}]", "must have 1 or more entries"),
        ("tuning: [{match: {a: b}, action: {boost_workers: 1}}]", "tuning[0].for: is missing"),
        (
            "tuning: [{match: {a: b}, action: {boost: 1}, for: 1h}]",
            "tuning[0].action.boost: unknown key (did you mean 'boost_workers'?)",
        ),
        (
            f"tuning: [{{{MATCH}, action: {{boost_workers: 1}}}}, {{{MATCH}, action: {{boost_workers: 2}}}}]",
            "tuning: there are two rules for boost on alertname=HighQueue",
        ),
        ("api: {listen: 0.0.0.0:9630}", "without tls_cert_file and tls_key_file it listens on the loopback only"),
        ("api: {listen: 127.0.0.1:9630, tls_cert_file: x}", "tls_cert_file and tls_key_file go together"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, f"\n{section}\n"))
    assert words in str(caught.value)


def test_files_of_the_api_are_beside_the_configuration(tmp_path: Path) -> None:
    api = load(written(tmp_path, "\napi: {listen: 127.0.0.1:9630, tokens_file: tokens}\n")).config.api
    assert (api.listen, api.tokens_file) == (("127.0.0.1", 9630), tmp_path / "tokens")


def test_a_step_has_its_bounds_and_a_span_of_time_is_in_seconds(tmp_path: Path) -> None:
    step, back = rules(
        tmp_path,
        f"{MATCH}, action: {{step: idle, by: 10m, within: [5m, 1h]}}",
        f"{MATCH}, action: {{step: workers_per_session, by: -2, within: [4, 16]}}",
    )
    assert (step.kind, step.change) == (TuningKind.STEP, Change("idle", 600, 300, 3600, "idle +10m within 5m to 1h"))
    assert back.change == Change("workers_per_session", -2, 4, 16, "workers_per_session -2 within 4 to 16")


def test_windows_reach_back_as_far_as_the_policy_looks_back_at_the_bounds(tmp_path: Path) -> None:
    section = f"\ntuning: [{{{MATCH}, action: {{step: idle, by: 10m, within: [5m, 1h]}}}}]"
    assert load(written(tmp_path, section)).history == timedelta(hours=1)


def test_a_price_is_one_that_the_policy_says_is_one(tmp_path: Path) -> None:
    section = f"\ntuning: [{{{MATCH}, action: {{price: idle_core_seconds, to: 0.4}}}}]"
    file = written(tmp_path, section)
    file.write_text(file.read_text().replace("name: threshold\n", "name: learned\n", 1))
    (rule,) = load(file).config.tuning_rules()
    assert (rule.kind, rule.change) == (
        TuningKind.PRICE,
        Change("idle_core_seconds", 0, 0.4, 0.4, "idle_core_seconds 0.4"),
    )
    file.write_text(file.read_text().replace("to: 0.4", "to: 40000"))
    with pytest.raises(
        ConfigError, match=r"tuning\[0\]\.action\.to: policy learned: idle_core_seconds over both prices"
    ):
        load(file)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("step: idle", "step wants by and within"),
        ("step: idle, by: 10m", "step wants by and within"),
        ("boost_workers: 1, by: 10m", "step wants by and within"),
        ("price: idle_core_seconds", "price wants to"),
        ("step: idle, by: 10m, within: [1m]", "must have 2 or more entries"),
        ("step: idle, by: [1], within: [5m, 1h]", "by: [1] is neither a number nor a span of time"),
        ("step: idle, by: 0s, within: [5m, 1h]", "by is 0, which changes nothing"),
        ("step: idle, by: 5m, within: [1h, 5m]", "within has its larger value first"),
        ("step: idle, by: .inf, within: [5m, 1h]", "is not a finite number"),
        (
            "step: idel, by: 5m, within: [5m, 1h]",
            "policy threshold has no idel that is a number or a span of time",
        ),
        ("step: idle, by: 5, within: [5m, 1h]", "action.by: 5 has no unit: write a duration such as '5m' or '-5m'"),
        ("step: idle, by: 5m, within: [5, 1h]", "action.within: 5 has no unit"),
        ("step: idle, by: 5m, within: [0s, 1h]", "action.within: policy threshold: idle must be longer than 0s"),
        ("step: idle, by: 5m, within: [1h, 2h]", "action.within: policy.idle is 20m, and not within 1h to 2h"),
        ("step: workers_per_session, by: 0.5, within: [4, 16]", "action.by: 0.5 is not a whole number"),
        ("step: workers_per_session, by: 5m, within: [4, 16]", "action.by: '5m' is not a whole number"),
        ("step: shrink_load, by: 1, within: [0, 2]", "shrink_load must not be above grow_queued + grow_running"),
        ("price: idle, to: 5m", "policy threshold has no idle that is a price; it has none"),
    ],
)
def test_a_change_that_the_policy_cannot_make_is_refused_in_words(tmp_path: Path, action: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(written(tmp_path, f"\ntuning: [{{{MATCH}, action: {{{action}}}}}]"))
