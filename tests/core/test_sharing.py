"""What Worker Nodes get of the memory that PROOF does not hold."""

from dataclasses import replace

from autoscaler.core.sharing import share
from autoscaler.testing import A_WN, a_host, observed


def test_a_single_worker_node_gets_the_rest() -> None:
    host = a_host()
    assert share(host, observed(host, workers=3), 4535) == {"wn": 4535}


def test_it_keeps_its_floor_when_there_is_no_rest() -> None:
    host = a_host()
    assert share(host, observed(host, wn_used_mib=0), -89) == {"wn": 572}


def test_it_gets_no_more_than_its_maximum() -> None:
    host = a_host()
    assert share(host, observed(host), 20_000) == {"wn": 6911}


def test_it_gets_no_more_than_its_domain_can_hold() -> None:
    host = a_host()
    seen = observed(host, workers=6)
    proof, wn = seen.domains
    small = replace(seen, domains=(proof, replace(wn, memory_max_mib=4096)))
    assert share(host, small, 6000) == {"wn": 4096}


def test_two_give_in_proportion_to_what_they_can_spare() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host, workers=0, wn_used_mib=1000)
    busy = replace(seen.domains[2], used_mib=3000)
    seen = replace(seen, domains=(*seen.domains[:2], busy))
    present = seen.domains[1].allocation.memory_mib
    assert present == 3455
    assert share(host, seen, 2 * present - 1000) == {"wn": present - 918, "wn-2": present - 82}


def test_nothing_moves_between_two_while_the_rest_is_what_they_have() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host, workers=4)
    both = {wn.name: seen.domain(wn.name).allocation.memory_mib for wn in host.wns}
    assert share(host, seen, sum(both.values())) == both
