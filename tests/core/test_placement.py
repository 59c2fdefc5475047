"""Where workers go: laws over any seats, and the rule in numbers."""

from dataclasses import replace
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.calendar import CalendarEntry, Freeze, Hours
from autoscaler.core.orders import HostOrders
from autoscaler.core.placement import Seat, place, spread
from autoscaler.model import Demand, Direction, Facility, Host, HostObservation, HostState
from autoscaler.testing import a_host, observed
from tests.core.situations import a_pause, an_override, unhurried


def _seat(number: int, current: int, workers: tuple[int, int], unused_mib: int, *, strained: bool = False) -> Seat:
    return Seat(f"host-{number}", current, min(workers), max(workers), unused_mib, strained)


# Up to six hosts, also ones that have more or fewer workers now than they may.
seats_of_a_facility = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.tuples(st.integers(0, 10), st.integers(0, 10)),
        st.sampled_from([0, 0, 500, 4000]),
        st.booleans(),
    ),
    max_size=6,
).map(lambda drawn: [_seat(number, *seat, strained=strained) for number, (*seat, strained) in enumerate(drawn)])
legal_seats = seats_of_a_facility.map(
    lambda seats: [replace(seat, current=min(max(seat.current, seat.workers_min), seat.workers_max)) for seat in seats]
)
demands = st.integers(0, 80)


@unhurried
@given(demands, seats_of_a_facility)
def test_all_demanded_workers_are_placed_as_far_as_there_is_room(demand: int, seats: list[Seat]) -> None:
    capacity = sum(seat.workers_max for seat in seats)
    least = sum(seat.workers_min for seat in seats)
    placement = spread(demand, seats)
    assert sum(placement.wanted.values()) == max(least, min(demand, capacity))
    assert placement.unplaced == max(0, demand - capacity)


@unhurried
@given(demands, seats_of_a_facility)
def test_no_host_gets_more_or_fewer_workers_than_it_may(demand: int, seats: list[Seat]) -> None:
    wanted = spread(demand, seats).wanted
    assert wanted.keys() == {seat.host for seat in seats}
    assert all(seat.workers_min <= wanted[seat.host] <= seat.workers_max for seat in seats)


@unhurried
@given(legal_seats)
def test_a_demand_for_what_there_is_changes_nothing(seats: list[Seat]) -> None:
    placement = spread(sum(seat.current for seat in seats), seats)
    assert placement.wanted == {seat.host: seat.current for seat in seats}


@unhurried
@given(demands, legal_seats)
def test_no_worker_moves_only_to_look_even(demand: int, seats: list[Seat]) -> None:
    """A growing facility takes from no host, a shrinking one gives to none."""
    wanted = spread(demand, seats).wanted
    changes = [wanted[seat.host] - seat.current for seat in seats]
    assert min(changes, default=0) >= 0 or max(changes, default=0) <= 0


@unhurried
@given(demands, st.integers(1, 6), st.integers(1, 10))
def test_equal_empty_hosts_differ_by_one_worker_at_most(demand: int, count: int, workers_max: int) -> None:
    wanted = spread(demand, [_seat(n, 0, (0, workers_max), 1000) for n in range(count)]).wanted
    assert max(wanted.values()) - min(wanted.values()) <= 1


@unhurried
@given(demands, seats_of_a_facility, st.randoms(use_true_random=False))
def test_the_order_of_the_hosts_does_not_matter(demand: int, seats: list[Seat], random) -> None:
    shuffled = random.sample(seats, len(seats))
    assert spread(demand, shuffled) == spread(demand, seats)


@unhurried
@given(demands, legal_seats)
def test_placing_what_was_placed_changes_nothing(demand: int, seats: list[Seat]) -> None:
    wanted = spread(demand, seats).wanted
    assert spread(demand, [replace(seat, current=wanted[seat.host]) for seat in seats]).wanted == wanted


def test_the_emptiest_host_is_filled_first() -> None:
    """From 4, 1 and 0 workers 3 more make 4, 2 and 2."""
    seats = [_seat(1, 4, (0, 8), 0), _seat(2, 1, (0, 8), 0), _seat(3, 0, (0, 8), 0)]
    assert spread(4 + 1 + 0 + 3, seats).wanted == {"host-1": 4, "host-2": 2, "host-3": 2}


def test_the_fullest_host_is_emptied_first() -> None:
    """From 4, 1 and 2 workers 3 fewer leave 2, 1 and 1."""
    seats = [_seat(1, 4, (0, 8), 500), _seat(2, 1, (0, 8), 500), _seat(3, 2, (0, 8), 0)]
    assert spread(4 + 1 + 2 - 3, seats).wanted == {"host-1": 2, "host-2": 1, "host-3": 1}


@unhurried
@given(demands, seats_of_a_facility)
def test_a_strained_host_grows_only_when_the_others_have_all_they_may(demand: int, seats: list[Seat]) -> None:
    wanted = spread(demand, seats).wanted
    if any(wanted[seat.host] > max(seat.current, seat.workers_min) for seat in seats if seat.strained):
        assert all(wanted[seat.host] == seat.workers_max for seat in seats if not seat.strained)


@unhurried
@given(demands, seats_of_a_facility)
def test_a_calm_host_shrinks_only_when_the_strained_ones_have_no_more_than_they_must(
    demand: int, seats: list[Seat]
) -> None:
    wanted = spread(demand, seats).wanted
    if any(wanted[seat.host] < min(seat.current, seat.workers_max) for seat in seats if not seat.strained):
        assert all(wanted[seat.host] == seat.workers_min for seat in seats if seat.strained)


def test_strained_hosts_give_what_is_to_go_evenly_before_others_do() -> None:
    seats = [_seat(1, 4, (0, 8), 0, strained=True), _seat(2, 4, (0, 8), 0, strained=True), _seat(3, 8, (0, 8), 0)]
    assert spread(12, seats).wanted == {"host-1": 2, "host-2": 2, "host-3": 8}


def test_strained_hosts_are_filled_evenly_when_nobody_else_is_left() -> None:
    seats = [_seat(1, 0, (0, 8), 0, strained=True), _seat(2, 0, (0, 8), 0, strained=True)]
    assert spread(6, seats).wanted == {"host-1": 3, "host-2": 3}


def test_a_tie_goes_to_the_host_whose_worker_node_has_most_unused_memory() -> None:
    seats = [_seat(1, 0, (0, 8), 100), _seat(2, 0, (0, 8), 4000), _seat(3, 0, (0, 8), 500)]
    assert spread(1, seats).wanted == {"host-1": 0, "host-2": 1, "host-3": 0}


def test_a_tie_is_first_taken_from_the_host_whose_worker_node_lacks_memory_most() -> None:
    seats = [_seat(1, 2, (0, 8), 500), _seat(2, 2, (0, 8), 100), _seat(3, 2, (0, 8), 4000)]
    assert spread(5, seats).wanted == {"host-1": 2, "host-2": 1, "host-3": 2}


def test_a_tie_of_equal_hosts_goes_by_name() -> None:
    seats = [_seat(2, 0, (0, 8), 0), _seat(1, 0, (0, 8), 0)]
    assert spread(1, seats).wanted == {"host-1": 1, "host-2": 0}


def test_a_demand_below_the_configured_minimum_leaves_the_minimum() -> None:
    assert spread(0, [_seat(1, 3, (2, 8), 0)]).wanted == {"host-1": 2}


FACILITY = Facility((a_host("host-1"), a_host("host-2"), a_host("host-3")))


def at(host: Host, workers: int, wn_used_mib: int | None = 500) -> HostObservation:
    return observed(host, workers=workers, wn_used_mib=wn_used_mib)


def test_holding_wants_what_every_host_has() -> None:
    one, two, three = FACILITY.hosts
    placement = place(Demand(None, "asked"), FACILITY, [at(one, 3), at(two, 0), at(three, 8)])
    assert placement.wanted == {"host-1": 3, "host-2": 0, "host-3": 8}
    assert placement.unplaced == 0


def test_a_moving_host_counts_with_the_workers_it_moves_to() -> None:
    """9 demanded - 5 on their way = 4 for the other two."""
    one, two, _ = FACILITY.hosts
    moving = HostObservation("host-3", HostState.MOVING, moving_to_workers=5)
    assert place(Demand(9, "asked"), FACILITY, [at(one, 0), at(two, 0), moving]).wanted == {"host-1": 2, "host-2": 2}


def test_more_workers_on_their_way_than_demanded_leave_none_for_the_others() -> None:
    one, two, _ = FACILITY.hosts
    moving = HostObservation("host-3", HostState.MOVING, moving_to_workers=5)
    assert place(Demand(3, "asked"), FACILITY, [at(one, 1), at(two, 1), moving]).wanted == {"host-1": 0, "host-2": 0}


def test_an_unusable_host_counts_with_nothing_and_gets_nothing() -> None:
    one, two, _ = FACILITY.hosts
    lost = HostObservation("host-3", HostState.UNUSABLE, problem="does not answer")
    assert place(Demand(9, "asked"), FACILITY, [at(one, 0), at(two, 0), lost]).wanted == {"host-1": 5, "host-2": 4}


def test_workers_without_a_place_are_counted() -> None:
    """Three hosts hold 8 each."""
    placement = place(Demand(30, "asked"), FACILITY, [at(host, 0) for host in FACILITY.hosts])
    assert placement.wanted == {"host-1": 8, "host-2": 8, "host-3": 8}
    assert placement.unplaced == 30 - 3 * 8


def test_a_worker_node_that_does_not_say_its_use_counts_as_full() -> None:
    one, two, _ = FACILITY.hosts
    placement = place(Demand(1, "asked"), FACILITY, [at(one, 0, None), at(two, 0, 6000)])
    assert placement.wanted == {"host-1": 0, "host-2": 1}


def test_no_host_at_all_leaves_everything_unplaced() -> None:
    placement = place(Demand(4, "asked"), FACILITY, [])
    assert placement.wanted == {}
    assert placement.unplaced == 4


def test_a_demand_for_at_least_so_many_takes_nothing_away() -> None:
    one, two, three = FACILITY.hosts
    present = [at(one, 3), at(two, 0), at(three, 8)]
    assert place(Demand(4, "a dip?", may_shrink=False), FACILITY, present).wanted == {
        "host-1": 3,
        "host-2": 0,
        "host-3": 8,
    }


def test_a_demand_for_at_least_so_many_still_grows() -> None:
    one, two, _ = FACILITY.hosts
    placement = place(Demand(6, "more", may_shrink=False), FACILITY, [at(one, 2), at(two, 1)])
    assert placement.wanted == {"host-1": 3, "host-2": 3}


def test_a_strained_host_is_filled_after_one_that_has_more_workers() -> None:
    hosts = (a_host("node-a"), a_host("node-b"))
    sights = (at(hosts[0], 0), at(hosts[1], 1))
    placement = place(Demand(2, "why"), Facility(hosts), sights, strained={"node-a"})
    assert placement.wanted == {"node-a": 0, "node-b": 2}


class TestOrders:
    """What people have said of hosts; the others get the rest."""

    FACILITY = Facility((a_host("host-1"), a_host("host-2")))
    NO_GROWTH = HostOrders(growing=a_pause(Direction.GROW))
    NO_SHRINKING = HostOrders(shrinking=a_pause(Direction.SHRINK))

    def placed(self, demand: Demand, workers: tuple[int, int], orders: HostOrders) -> tuple[dict[str, int], int]:
        """``orders`` are of host-1."""
        hosts = [observed(host, workers=each) for host, each in zip(self.FACILITY.hosts, workers, strict=True)]
        found = place(demand, self.FACILITY, hosts, orders={"host-1": orders})
        return dict(found.wanted), found.unplaced

    def test_a_host_that_may_not_grow_gets_none_more(self) -> None:
        assert self.placed(Demand(8, ""), (2, 2), self.NO_GROWTH) == ({"host-1": 2, "host-2": 6}, 0)

    def test_what_then_finds_no_place_is_told(self) -> None:
        assert self.placed(Demand(12, ""), (2, 2), self.NO_GROWTH) == ({"host-1": 2, "host-2": 8}, 2)

    def test_of_a_host_that_may_not_shrink_none_is_taken(self) -> None:
        assert self.placed(Demand(3, ""), (2, 4), self.NO_SHRINKING) == ({"host-1": 2, "host-2": 1}, 0)
        assert self.placed(Demand(0, ""), (2, 4), self.NO_SHRINKING) == ({"host-1": 2, "host-2": 0}, 0)

    def test_a_host_that_is_set_counts_with_what_it_is_set_to(self) -> None:
        assert self.placed(Demand(8, ""), (2, 2), HostOrders(override=an_override(5))) == (
            {"host-1": 5, "host-2": 3},
            0,
        )

    def test_a_host_that_is_set_is_set_while_the_others_hold(self) -> None:
        found = self.placed(Demand(None, ""), (2, 2), HostOrders(override=an_override(5)))
        assert found == ({"host-1": 5, "host-2": 2}, 0)

    def test_a_paused_host_keeps_what_it_has_whatever_it_is_set_to(self) -> None:
        found = self.placed(Demand(8, ""), (2, 2), replace(self.NO_GROWTH, override=an_override(5)))
        assert found == ({"host-1": 2, "host-2": 6}, 0)


# Hosts of the prototype's size with up to 8 workers, each perhaps paused in a direction or set.
_ordered_hosts = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.sampled_from([None, None, a_pause(Direction.GROW)]),
        st.sampled_from([None, None, a_pause(Direction.SHRINK)]),
        st.none() | st.builds(an_override, st.integers(0, 12)),
    ),
    min_size=1,
    max_size=5,
)
_limits = st.none() | st.tuples(st.integers(0, 30), st.integers(0, 30))


@unhurried
@given(_ordered_hosts, st.none() | st.integers(0, 60), _limits)
def test_whatever_is_demanded_orders_are_kept_and_nothing_is_lost(drawn, workers: int | None, limits) -> None:
    hosts = [a_host(f"host-{number}") for number in range(len(drawn))]
    seen = [observed(host, workers=current) for host, (current, *_) in zip(hosts, drawn, strict=True)]
    orders = {host.name: HostOrders(*said) for host, (_, *said) in zip(hosts, drawn, strict=True)}
    group = frozenset({"host-0", "host-1"})
    entries = [CalendarEntry("now", Hours(UTC), group, "some", min(limits), max(limits))] if limits else []
    found = place(Demand(workers, ""), Facility(tuple(hosts)), seen, orders=orders, entries=entries)
    for host, (current, growing, shrinking, override) in zip(hosts, drawn, strict=True):
        wanted = found.wanted[host.name]
        assert 0 <= wanted <= 8
        assert not growing or wanted <= current
        assert not shrinking or wanted >= current
        assert override is None or growing or shrinking or wanted == min(override.workers, 8)
    if workers is not None:
        assert sum(found.wanted.values()) + found.unplaced >= workers


class TestCalendar:
    """What the calendar lets some hosts have together; what they lose, the others get."""

    FACILITY = Facility((a_host("host-1"), a_host("host-2"), a_host("host-3")))

    def entry(self, *hosts: str, **limits: int) -> CalendarEntry:
        return CalendarEntry("Fri", Hours(UTC), frozenset(hosts), "rack", **limits)

    def placed(self, demand: Demand, workers: tuple[int, ...], *entries: CalendarEntry) -> tuple[list[int], int]:
        """The workers of the three hosts, and those without a place."""
        hosts = [observed(host, workers=each) for host, each in zip(self.FACILITY.hosts, workers, strict=True)]
        found = place(demand, self.FACILITY, hosts, entries=entries)
        return [found.wanted[host.name] for host in self.FACILITY.hosts], found.unplaced

    def test_a_maximum_is_for_its_hosts_together(self) -> None:
        entry = self.entry("host-1", "host-2", workers_max=2)
        assert self.placed(Demand(9, ""), (0, 0, 0), entry) == ([1, 1, 7], 0)

    def test_what_finds_no_place_elsewhere_is_told(self) -> None:
        entry = self.entry("host-1", "host-2", workers_max=2)
        assert self.placed(Demand(12, ""), (0, 0, 0), entry) == ([1, 1, 8], 2)

    def test_a_minimum_is_for_its_hosts_together_and_there_already_when_asked_again(self) -> None:
        entry = self.entry("host-1", "host-2", workers_min=4)
        assert self.placed(Demand(0, ""), (0, 0, 0), entry) == ([2, 2, 0], 0)
        assert self.placed(Demand(0, ""), (2, 2, 0), entry) == ([2, 2, 0], 0)
        assert self.placed(Demand(4, ""), (2, 2, 0), entry) == ([2, 2, 0], 0)

    def test_a_maximum_that_is_reached_changes_nothing_when_asked_again(self) -> None:
        entry = self.entry("host-1", "host-2", workers_max=2)
        assert self.placed(Demand(9, ""), (1, 1, 7), entry) == ([1, 1, 7], 0)

    def test_a_host_in_a_transfer_counts_with_the_workers_it_moves_to(self) -> None:
        first, second, third = (observed(host) for host in self.FACILITY.hosts)
        moving = replace(first, state=HostState.MOVING, moving_to_workers=2)
        entry = self.entry("host-1", "host-2", workers_max=3)
        found = place(Demand(8, ""), self.FACILITY, (moving, second, third), entries=[entry])
        assert found.wanted == {"host-2": 1, "host-3": 5}

    def test_a_demand_that_may_not_shrink_takes_none_of_those_that_are_there(self) -> None:
        entry = self.entry("host-1", "host-2", workers_max=2)
        assert self.placed(Demand(0, "", may_shrink=False), (3, 3, 0), entry) == ([3, 3, 0], 0)

    def test_hosts_that_may_not_grow_get_none_more(self) -> None:
        hosts = [observed(host, workers=1) for host in self.FACILITY.hosts]
        found = place(Demand(9, ""), self.FACILITY, hosts, freezes={"host-1": Freeze(growing="Fri")})
        assert found.wanted == {"host-1": 1, "host-2": 4, "host-3": 4}
