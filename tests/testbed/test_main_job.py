"""The main job on real guests: users come, PROOF grows; users leave, the Worker Node gets it back; and crashes."""

import json
from collections.abc import Iterator

import pytest

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from tests.testbed.guests import Kernel, event_rates
from tests.testbed.processes import scratch_folder, wait_until
from tests.testbed.proof_area import Status
from tests.testbed.site import (
    AWAKE_MIB,
    DORMANT_MIB,
    HOST,
    WN_FLOOR_MIB,
    WN_MIB,
    WORKERS,
    Site,
    SumWatch,
    running_site,
)

TRANSFER_DEADLINE_S = 600
DORMANT = (DORMANT_MIB, WN_MIB)
AWAKE = (AWAKE_MIB, WN_FLOOR_MIB)
# Of two readings, each of which may be beside its size by the tolerance.
NEAR_KIB = 2 * BALLOON_TOLERANCE_MIB * 1024


@pytest.fixture
def site(libvirt_uri: str, guest_kernel: Kernel) -> Iterator[Site]:
    """A site whose host sum is watched; it must never have been exceeded."""
    with scratch_folder() as folder, running_site(libvirt_uri, guest_kernel, folder) as site:
        with SumWatch(libvirt_uri).watching() as watch:
            yield site
        assert watch.samples > 0
        assert watch.exceeded == []


def wait_sizes(site: Site, sizes: tuple[int, int]) -> None:
    """Wait until PROOF and the Worker Node have these sizes; a controller that ended fails at once."""

    def there() -> bool:
        # A balloon that is this near has reached its size for the controller, too.
        return all(
            abs(now - wanted) <= BALLOON_TOLERANCE_MIB for now, wanted in zip(site.sizes_mib(), sizes, strict=True)
        )

    site.controller.wait_until(there, TRANSFER_DEADLINE_S, f"sizes {sizes}")


def wait_outcome(site: Site, workers: int) -> dict:
    """Wait until the newest change of the host is a finished transfer to so many workers; return the record."""

    def found() -> dict | None:
        for record in reversed(site.history()):
            goals = [host["transfer"]["workers_to"] for host in record["hosts"] if host["transfer"]]
            done = [outcome["result"] for outcome in record["outcomes"]]
            if goals:
                return record if goals == [workers] and done == ["done"] else None
        return None

    return site.controller.wait_until(found, TRANSFER_DEADLINE_S, f"a finished transfer to {workers} workers")


def test_users_arrive_and_proof_grows_users_leave_and_the_worker_node_gets_it_back(site: Site) -> None:
    site.controller.start()
    wait_outcome(site, 0)
    wn_before, proof_before = event_rates(site.wn, site.proof)
    asleep = site.proof.next_report().memtotal_kib, site.wn.next_report().memtotal_kib
    assert wn_before > 3 * proof_before

    session = site.area.open_session("alice", status=Status.RUNNING)
    record = wait_outcome(site, WORKERS)
    wait_sizes(site, AWAKE)
    proof_gained_kib = site.proof.next_report().memtotal_kib - asleep[0]
    wn_lost_kib = asleep[1] - site.wn.next_report().memtotal_kib
    moved_kib = pytest.approx((AWAKE_MIB - DORMANT_MIB) * 1024, abs=NEAR_KIB)
    assert proof_gained_kib == moved_kib
    assert wn_lost_kib == moved_kib
    wn_during, proof_during = event_rates(site.wn, site.proof)
    assert proof_during > 3 * wn_during
    assert wn_during > 0

    told = site.autoscaler("explain", HOST).stdout
    assert "1 running sessions" in told
    at = site.autoscaler("explain", HOST, "--at", record["at"].replace("Z", "+00:00")).stdout
    assert f"granted {WORKERS} workers" in at

    site.area.close_session(session)
    wait_outcome(site, 0)
    wait_sizes(site, DORMANT)
    assert site.proof.next_report().memtotal_kib == pytest.approx(asleep[0], abs=NEAR_KIB)
    assert site.wn.next_report().memtotal_kib == pytest.approx(asleep[1], abs=NEAR_KIB)
    wn_after, proof_after = event_rates(site.wn, site.proof)
    assert wn_after > 3 * proof_after
    assert site.controller.terminate() == 0


def test_hosts_and_domains_that_cannot_be_used_are_named_and_the_others_go_on(site: Site) -> None:
    site.area.open_session("alice", status=Status.RUNNING)
    site.controller.start()
    wait_outcome(site, WORKERS)
    status = site.autoscaler("status", "--format", "json")
    assert status.returncode == 3
    hosts = {host["host"]: host for host in json.loads(status.stdout)["hosts"]}
    assert "/nonexistent/sock" in hosts["dead-host"]["problem"]
    assert "no-such-domain" in hosts["other-host"]["problem"]


def test_a_dry_run_tells_what_it_would_do_and_changes_nothing(site: Site) -> None:
    def libvirt_state() -> list[list[object]]:
        state = []
        for guest in (site.wn, site.proof):
            with guest.domain() as domain:
                state.append([domain.info()[2] // 1024, domain.schedulerParameters(), domain.XMLDesc()])
        return state

    def memory_mib() -> tuple[object, ...]:
        return tuple(memory for memory, *_ in libvirt_state())

    # After the guests' boot, libvirt's own view lags behind QEMU's for a second.
    wait_until(lambda: memory_mib() == (WN_MIB, DORMANT_MIB), TRANSFER_DEADLINE_S, "libvirt to know the guests' sizes")
    site.area.open_session("alice", status=Status.RUNNING)
    site.prometheus.wait_for_data('proof_sessions{state="running"} == 1')
    before = libvirt_state()

    def promised() -> dict | None:
        done = site.autoscaler("dry-run", "--format", "json")
        host = next(host for host in json.loads(done.stdout)["hosts"] if host["host"] == HOST)
        return host if host["granted"] == WORKERS else None

    # Prometheus may have missed its last scrape: then nothing is granted.
    host = wait_until(promised, TRANSFER_DEADLINE_S, f"{WORKERS} workers in a dry run")
    table = site.autoscaler("dry-run").stdout
    assert libvirt_state() == before
    assert not site.config.with_name("decisions.sqlite").exists()
    assert host["calls"][0] == f"wn: memory {WN_FLOOR_MIB} MiB"
    assert "nothing was changed" in table


def test_a_controller_killed_in_the_middle_of_a_transfer_finishes_it_after_its_restart(site: Site) -> None:
    site.controller.start()
    wait_outcome(site, 0)
    for session_runs, end in ((True, AWAKE), (False, DORMANT)):
        if session_runs:
            session = site.area.open_session("alice", status=Status.RUNNING)
        else:
            site.area.close_session(session)
        begin = site.sizes_mib()
        site.controller.wait_until(
            lambda begin=begin: all(abs(now - then) > 128 for now, then in zip(site.sizes_mib(), begin, strict=True)),
            TRANSFER_DEADLINE_S,
            "a transfer half done",
        )
        site.controller.kill9()
        assert site.sizes_mib() != end
        site.controller.start()
        wait_sizes(site, end)
    wait_outcome(site, 0)


def test_nothing_is_resized_while_prometheus_is_down(site: Site) -> None:
    session = site.area.open_session("alice", status=Status.RUNNING)
    site.controller.start()
    wait_outcome(site, WORKERS)
    site.prometheus.process.kill9()
    site.area.close_session(session)

    def unknown_cycles() -> int:
        return sum("unknown" in record["demand"]["reason"] for record in site.history("--all"))

    site.controller.wait_until(lambda: unknown_cycles() > 15, TRANSFER_DEADLINE_S, "15 cycles without Prometheus")
    assert site.sizes_mib() == AWAKE
    site.prometheus.start()
    wait_sizes(site, DORMANT)
