"""The section ``source``: where signals come from, and which of them a policy needs."""

import re
from pathlib import Path

import pytest

from autoscaler.config.schema import PrometheusSection, ScrapeSection
from tests.config.texts import MINIMAL, SCRAPE, bad, loaded, problems, with_line


def test_a_prometheus_source_has_its_url_and_signals(file: Path) -> None:
    signal = "  signals: {load: {query: sum(load), fresh_at: time()}}"
    source = loaded(file, with_line("  url: http://127.0.0.1:9090/", signal)).config.source
    assert isinstance(source, PrometheusSection)
    assert source.signals["load"].query == "sum(load)"


def test_a_scrape_source_has_its_targets_and_signals(file: Path) -> None:
    source = loaded(file, SCRAPE).config.source
    assert isinstance(source, ScrapeSection)
    assert source.targets == {"proof": ["http://127.0.0.1:9820/metrics"]}
    assert source.signals["load"].labels == {"state": ["busy"]}


MISTAKES = {
    "a source without a kind": bad("  kind: prometheus\n", "", "1: source.kind: is missing"),
    "a configured signal of a job without targets": (
        SCRAPE.replace("{job: proof,", "{job: prof,"),
        "4: source.signals.load.job: source.targets has no target of job 'prof'",
    ),
    "a source that is none": bad(
        "prometheus",
        "graphite",
        "2: source.kind: 'graphite' is not one of prometheus, scrape",
    ),
    "a source without a server": bad("http://127.0.0.1:9090/", "http://", "3: source.url: 'http://' is not a URL"),
    "no targets to scrape": (
        SCRAPE.replace('{proof: ["http://127.0.0.1:9820/metrics"]}', "{}"),
        "3: source.targets: must have 1 or more entries",
    ),
    "a job called as the kind": (
        SCRAPE.replace("{proof: [", "{scrape: [").replace("http://127.0.0.1:9820", "ftp://127.0.0.1"),
        "3: source.targets.scrape[0]: 'ftp://127.0.0.1/metrics' is not a URL",
    ),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem.removeprefix(": "))


def with_threshold(text: str) -> str:
    """The file with the policy that needs both PROOF signals."""
    return text.replace("  name: static\n  workers: 4\n", "  name: threshold\n")


def test_a_job_without_targets_that_the_policy_needs_is_named_for_each_of_its_signals(file: Path) -> None:
    assert problems(
        file, with_threshold(SCRAPE.replace("{proof: [", "{prof: [").replace("{job: proof,", "{job: prof,"))
    ) == [
        f"3: source.targets: no target of job 'proof', which signal {name} of policy threshold needs"
        for name in ("proof_queued_sessions", "proof_running_sessions")
    ]


def test_a_built_in_signal_that_the_policy_does_not_need_needs_no_target(file: Path) -> None:
    assert loaded(file, SCRAPE.replace("{proof: [", "{prof: [").replace("{job: proof,", "{job: prof,"))


def test_a_configured_signal_may_stand_for_a_built_in_one_of_another_job(file: Path) -> None:
    own = "{proof_queued_sessions: {job: own, metric: q}, proof_running_sessions: {job: own, metric: r}}"
    text = re.sub(r"signals: .*", f"signals: {own}", SCRAPE.replace("{proof: [", "{own: ["))
    assert loaded(file, with_threshold(text))


SITE_POLICY = """\
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

@dataclass(frozen=True)
class Seats:
    signals = ("seats_taken",)
    history = timedelta(0)
"""


@pytest.fixture
def _site_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed policy that needs a signal of its own."""
    (tmp_path / "site_seats.py").write_text(SITE_POLICY)
    information = tmp_path / "site_seats-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: site-seats\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[vaf_autoscaler.policies]\nseats = site_seats:Seats\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_site_policy")
@pytest.mark.parametrize("text", [MINIMAL, SCRAPE], ids=["prometheus", "scrape"])
def test_a_signal_that_nobody_defines_is_named_with_the_policy_that_needs_it(file: Path, text: str) -> None:
    (found,) = problems(file, text.replace("  name: static\n  workers: 4\n", "  name: seats\n"))
    assert found.endswith(": source.signals: no signal seats_taken, which policy seats needs")


@pytest.mark.usefixtures("_site_policy")
def test_a_signal_that_is_configured_is_enough_for_the_policy_that_needs_it(file: Path) -> None:
    text = MINIMAL.replace("  name: static\n  workers: 4\n", "  name: seats\n").replace(
        "policy:", "  signals: {seats_taken: {query: sum(seats), fresh_at: time()}}\npolicy:"
    )
    assert loaded(file, text)
