"""A dry run: the same decision as the loop's, and nothing changed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.core.rules import Rules
from autoscaler.hypervisors import connect
from autoscaler.model import Facility, GuardLimits, HostState, HostTimers, Orders
from autoscaler.service.preview import Preview, preview
from autoscaler.testing import NOW, SettableSource, a_host
from policies.static import Static
from tests.hypervisors.site import on_test_driver

LIMITS = GuardLimits(shrink_cooldown=timedelta(minutes=5))


def previewed(
    facility: Facility,
    workers: int = 4,
    asked: dict[tuple[str, str], int] | None = None,
    timers: tuple[HostTimers, ...] = (),
    limits: GuardLimits = LIMITS,
) -> Preview:
    return preview(
        facility,
        Rules(Static(workers), limits),
        SettableSource(),
        asked=asked or {},
        timers=timers,
        orders=Orders(),
        tunings=(),
        before=None,
        now=NOW,
        host_timeout=timedelta(seconds=30),
    )


@pytest.fixture
def facility(tmp_path: Path) -> Facility:
    """One host on the test driver."""
    host = on_test_driver(tmp_path)
    return Facility((replace(host, wns=(replace(host.wns[0], swap_down_to_mib=572),)),))


def test_the_calls_are_those_the_loop_would_make_in_their_order(facility: Facility) -> None:
    assert previewed(facility).calls == {
        "host-1": (
            "wn: memory 3743 MiB",  # 7483 - 572 - 4 * 792
            "proof: CPU weight 256, cap 4 cores",
            "wn: CPU weight 32, no cap",
            "proof: memory 3740 MiB",
        )
    }


def test_a_host_without_a_transfer_has_no_calls(facility: Facility) -> None:
    found = previewed(facility, workers=0)
    memory = [call for call in found.calls.get("host-1", ()) if "memory" in call]
    assert memory == []


def test_nothing_is_changed(facility: Facility, tmp_path: Path) -> None:
    before = (tmp_path / "host.xml").read_text()
    real = connect(facility.hosts[0])
    state = [seen.allocation for seen in real.read().domains]
    previewed(facility)
    assert [seen.allocation for seen in real.read().domains] == state
    assert (tmp_path / "host.xml").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["host.xml"]


def test_the_running_controllers_timers_count(facility: Facility) -> None:
    limits = GuardLimits(grow_cooldown=timedelta(minutes=5))
    found = previewed(facility, timers=(HostTimers("host-1", shrank_at=NOW),), limits=limits)
    assert [cut.guard for cut in found.decision.hosts[0].cuts] == ["cooldown"]


def test_the_running_controllers_ledger_counts(facility: Facility) -> None:
    found = previewed(facility, asked={("host-1", "wn"): 6911, ("host-1", "proof"): 500})
    assert [domain.asked_mib for domain in found.decision.situation.hosts[0].domains] == [500, 6911]


def test_a_host_that_cannot_be_read_is_shown_and_the_others_too(facility: Facility, tmp_path: Path) -> None:
    missing = a_host("host-2", uri=f"test://{tmp_path}/missing.xml")
    found = previewed(Facility((*facility.hosts, missing)))
    assert [seen.state for seen in found.decision.situation.hosts] == [HostState.READY, HostState.UNUSABLE]
    assert list(found.calls) == ["host-1"]
