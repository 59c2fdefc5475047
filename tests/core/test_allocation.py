"""What a worker costs, in numbers of the prototype."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.allocation import (
    proof_allocation,
    proof_memory_mib,
    same_cpu,
    wn_allocation,
    workers_fitting,
    workers_now,
)
from autoscaler.model import Allocation, Host
from autoscaler.testing import a_host, observed
from tests.core.situations import hosts, unhurried


def test_a_dormant_domain_has_its_configured_allocation() -> None:
    assert proof_allocation(a_host(), 0) == Allocation(572, 32, 1.0)


def test_an_awake_domain_has_memory_and_a_core_for_each_worker() -> None:
    assert proof_allocation(a_host(), 3) == Allocation(572 + 3 * 792, 256, 3.0)


def test_the_worker_node_has_the_rest_without_a_cap() -> None:
    """7483 for guests - (572 + 3 * 792) = 4535."""
    host = a_host()
    assert wn_allocation(host, 3, observed(host, workers=3)) == Allocation(7483 - 572 - 3 * 792, 32, None)
    assert wn_allocation(host, 0, observed(host)) == Allocation(7483 - 572, 256, None)


def test_memory_of_other_domains_comes_off_the_worker_nodes_rest() -> None:
    host = a_host()
    assert wn_allocation(host, 0, observed(host, unmanaged_mib=1000)).memory_mib == 7483 - 572 - 1000


def test_the_worker_node_keeps_its_floor_when_other_domains_take_all_the_rest() -> None:
    """7483 - 572 - 7000 would be -89 MiB."""
    host = a_host()
    assert wn_allocation(host, 0, observed(host, unmanaged_mib=7000)).memory_mib == 572


def test_the_worker_node_gets_no_more_than_its_maximum() -> None:
    host = a_host(memory_total_mib=20_000)
    assert wn_allocation(host, 0, observed(host)).memory_mib == 6911


def test_the_worker_node_gets_no_more_than_its_domain_can_hold() -> None:
    host = a_host()
    seen = observed(host)
    proof, wn = seen.domains
    small = replace(seen, domains=(proof, replace(wn, memory_max_mib=4096)))
    assert wn_allocation(host, 0, small).memory_mib == 4096


@unhurried
@given(hosts, st.integers(0, 16))
def test_memory_for_workers_holds_just_these_workers(host: Host, workers: int) -> None:
    assert workers_fitting(host, proof_memory_mib(host, workers)) == workers
    assert workers_fitting(host, proof_memory_mib(host, workers + 1) - 1) == workers


@pytest.mark.parametrize(("missing_mib", "workers"), [(0, 2), (8, 2), (9, 1)])
def test_a_balloon_that_settled_a_little_short_still_has_its_workers(missing_mib: int, workers: int) -> None:
    host = a_host()
    proof = observed(host, workers=2).domain("proof")
    short = replace(proof, allocation=Allocation(proof.allocation.memory_mib - missing_mib, 256, 2.0))
    assert workers_now(host, short) == workers


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Allocation(1, 256, 8.0), Allocation(2, 256, None), True),
        (Allocation(1, 256, 9.0), Allocation(2, 256, 8.0), True),
        (Allocation(1, 256, 2.0), Allocation(2, 256, 2.001), True),
        (Allocation(1, 256, 7.0), Allocation(1, 256, None), False),
        (Allocation(1, 256, None), Allocation(1, 32, None), False),
    ],
    ids=["a cap of all cores is none", "as is one above", "within rounding", "seven cores are a cap", "weight"],
)
def test_cpus_of_a_domain_with_eight_cores_are_the_same(one: Allocation, other: Allocation, same: bool) -> None:
    assert same_cpu(one, other, 8) == same
