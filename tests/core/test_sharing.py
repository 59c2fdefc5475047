"""What Worker Nodes get of the memory that PROOF does not hold."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.allocation import wn_floor_mib
from autoscaler.core.sharing import asleep_mib, share
from autoscaler.model import Allocation, DomainObservation, DomainState, Host, HostObservation, HostState, WnDomain
from autoscaler.testing import A_WN, a_host, observed
from tests.core.situations import memory, perhaps_memory, unhurried

LIKELY_RUNNING = [DomainState.RUNNING] * 4 + list(DomainState)


@st.composite
def hosts_seen(draw: st.DrawFn) -> tuple[Host, HostObservation]:
    """A host of one to three Worker Nodes of any size and use, some of which do not run."""
    wns, domains = [], [observed(a_host()).domain("proof")]
    for number in range(draw(st.integers(1, 3))):
        floor, swap = draw(st.integers(0, 3000)), draw(st.none() | st.integers(0, 4000))
        wns.append(replace(A_WN, name=f"wn-{number}", memory_floor_mib=floor, swap_down_to_mib=swap))
        domains.append(draw(a_domain(wns[-1])))
    return a_host(wns=tuple(wns)), HostObservation("host-1", HostState.READY, tuple(domains))


@st.composite
def a_domain(draw: st.DrawFn, wn: WnDomain) -> DomainObservation:
    state = draw(st.sampled_from(LIKELY_RUNNING))
    allocation = Allocation(draw(memory) if state.holds_memory else 0, 256)
    used, asked, most = draw(perhaps_memory), draw(perhaps_memory), draw(st.sampled_from([4096, 20_000]))
    return DomainObservation(wn.name, allocation, most, 8, 0.0, used, asked, state)


def present_mib(host: Host, seen: HostObservation) -> dict[str, int]:
    """The sizes of those that run."""
    domains = [seen.domain(wn.name) for wn in host.wns]
    return {each.name: resting_mib(each) for each in domains if each.state is DomainState.RUNNING}


def resting_mib(domain: DomainObservation) -> int:
    """What it has, or was asked for where it rests within 8 MiB of that."""
    present, taken = domain.allocation.memory_mib, domain.committed_mib
    return taken if taken - present <= 8 else present


def most_mib(wn: WnDomain, seen: HostObservation) -> int:
    return max(wn.memory_floor_mib, min(wn.memory_max_mib, seen.domain(wn.name).memory_max_mib))


@unhurried
@given(hosts_seen(), memory)
def test_every_worker_node_that_runs_and_no_other_gets_a_size(both: tuple[Host, HostObservation], rest: int) -> None:
    host, seen = both
    assert share(host, seen, rest).keys() == present_mib(host, seen).keys()


@unhurried
@given(hosts_seen(), st.integers(-2000, 40_000))
def test_none_gets_less_than_its_floor_nor_less_than_it_needs_of_what_it_has(
    both: tuple[Host, HostObservation], rest: int
) -> None:
    host, seen = both
    present, sizes = present_mib(host, seen), share(host, seen, rest)
    for wn in (wn for wn in host.wns if wn.name in sizes):
        needs = wn_floor_mib(wn, seen)
        keeps = present[wn.name] if needs is None else min(needs, present[wn.name])
        assert sizes[wn.name] >= wn.memory_floor_mib
        assert sizes[wn.name] >= min(keeps, most_mib(wn, seen))


@unhurried
@given(hosts_seen(), st.integers(-2000, 40_000))
def test_none_gets_more_than_its_maximum_unless_it_needs_what_it_has(
    both: tuple[Host, HostObservation], rest: int
) -> None:
    host, seen = both
    present = present_mib(host, seen)
    for wn in (wn for wn in host.wns if wn.name in present):
        assert share(host, seen, rest)[wn.name] <= max(most_mib(wn, seen), present[wn.name])


@unhurried
@given(hosts_seen(), st.integers(-2000, 40_000))
def test_all_of_the_rest_is_shared_or_none_can_give_or_take_any_more(
    both: tuple[Host, HostObservation], rest: int
) -> None:
    host, seen = both
    sizes = share(host, seen, rest)
    left = rest - asleep_mib(host, seen) - sum(sizes.values())
    running = [wn for wn in host.wns if wn.name in sizes]
    if left > 0:
        assert all(sizes[wn.name] >= most_mib(wn, seen) for wn in running)
    if left < 0:
        again = share(host, resized(seen, sizes), rest)
        assert again == sizes


def resized(seen: HostObservation, sizes: dict[str, int]) -> HostObservation:
    """The host with Worker Nodes of these sizes."""
    domains = (
        replace(each, allocation=replace(each.allocation, memory_mib=sizes[each.name]), asked_mib=None)
        if each.name in sizes
        else each
        for each in seen.domains
    )
    return replace(seen, domains=tuple(domains))


@unhurried
@given(hosts_seen(), st.integers(0, 40_000))
def test_nothing_moves_when_the_same_is_shared_again(both: tuple[Host, HostObservation], rest: int) -> None:
    host, seen = both
    sizes = dict(share(host, seen, rest))
    assert share(host, resized(seen, sizes), rest) == sizes


@unhurried
@given(hosts_seen(), st.integers(0, 40_000))
def test_either_all_give_or_all_take(both: tuple[Host, HostObservation], rest: int) -> None:
    """No memory goes from one Worker Node to another, unless one is out of its bounds."""
    host, seen = both
    present, sizes = present_mib(host, seen), share(host, seen, rest)
    within = [wn.name for wn in host.wns if wn.name in sizes and wn.memory_floor_mib <= present[wn.name]]
    within = [name for name in within if present[name] <= min(6911, seen.domain(name).memory_max_mib)]
    ways = [sizes[name] - present[name] for name in within]
    assert min(ways, default=0) >= 0 or max(ways, default=0) <= 0


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


def test_a_little_is_taken_from_one_alone() -> None:
    """From each of three it would be 5 MiB, which no balloon moves for; the last one has most to spare."""
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2"), replace(A_WN, name="wn-3", memory_floor_mib=400)))
    seen = observed(host, workers=2, wn_used_mib=100)
    sizes = {wn.name: seen.domain(wn.name).allocation.memory_mib for wn in host.wns}
    assert share(host, seen, sum(sizes.values()) - 15) == {**sizes, "wn-3": sizes["wn-3"] - 15}


def test_what_one_rests_below_its_target_is_not_given_to_another() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host, workers=4)
    short = tuple(
        replace(each, allocation=replace(each.allocation, memory_mib=each.allocation.memory_mib - 6), asked_mib=1871)
        for each in seen.domains[1:]
    )
    assert share(host, replace(seen, domains=(seen.domains[0], *short)), 3743) == {"wn": 1872, "wn-2": 1871}


def test_nothing_moves_between_two_while_the_rest_is_what_they_have() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host, workers=4)
    both = {wn.name: seen.domain(wn.name).allocation.memory_mib for wn in host.wns}
    assert share(host, seen, sum(both.values())) == both


def test_what_one_that_is_off_would_start_with_is_kept_for_it() -> None:
    """Its floor of 572 MiB."""
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host)
    off = replace(seen.domains[2], state=DomainState.SHUT_OFF, allocation=Allocation(0, 256))
    assert share(host, replace(seen, domains=(*seen.domains[:2], off)), 6000) == {"wn": 5428}


def test_a_paused_one_keeps_what_it_has() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host)
    paused = replace(seen.domains[2], state=DomainState.PAUSED)
    assert share(host, replace(seen, domains=(*seen.domains[:2], paused)), 6000) == {"wn": 6000 - 3455}


def test_a_paused_one_keeps_what_it_was_asked_for() -> None:
    """It goes on growing when it is resumed."""
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host)
    paused = replace(seen.domains[2], state=DomainState.PAUSED, asked_mib=4000)
    assert share(host, replace(seen, domains=(*seen.domains[:2], paused)), 6000) == {"wn": 6000 - 4000}


def test_what_one_that_is_off_was_asked_for_in_its_former_life_is_not_kept() -> None:
    host = a_host(wns=(A_WN, replace(A_WN, name="wn-2")))
    seen = observed(host)
    off = replace(seen.domains[2], state=DomainState.SHUT_OFF, allocation=Allocation(0, 256), asked_mib=4000)
    assert share(host, replace(seen, domains=(*seen.domains[:2], off)), 6000) == {"wn": 5428}
