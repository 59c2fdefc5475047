"""The sections ``tuning`` and ``api``: what they say, and what is refused in words."""

from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.config.load import ConfigError, load
from autoscaler.core.tuning import TuningRule
from autoscaler.model import Direction, TuningKind

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
        (f"tuning: [{{{MATCH}, action: {{}}}}]", "give one of boost_workers, cap_workers and freeze"),
        (f"tuning: [{{{MATCH}, action: {{boost_workers: 1, cap_workers: 2}}}}]", "give one of boost_workers"),
        (f"tuning: [{{{MATCH}, action: {{boost_workers: 0}}}}]", "must be 1 or more"),
        (f"tuning: [{{{MATCH}, action: {{freeze: grow}}}}]", "freeze wants hosts: a host, a group, or all"),
        (f"tuning: [{{{MATCH}, action: {{freeze: grow, hosts: vaf}}}}]", "tuning[0].action.hosts: no host or group"),
        ("tuning: [{match: {}, for: 1h, action: {boost_workers: 1}}]", "must have 1 or more entries"),
        ("tuning: [{match: {a: b}, action: {boost_workers: 1}}]", "tuning[0].for: is missing"),
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
