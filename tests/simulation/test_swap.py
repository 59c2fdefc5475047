"""What lies in swap, and what is read back of it."""

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.simulation.swap import Swap

MIB = st.integers(1, 4096)


def test_what_is_read_back_is_in_swap_no_longer() -> None:
    swap = Swap()
    swap.put(100, 1000, last_job=2)
    assert [swap.read(60), swap.read(60), swap.read(60)] == [60, 40, 0]


def test_without_more_room_nothing_is_read() -> None:
    swap = Swap()
    swap.put(100, 1000, last_job=2)
    assert swap.read(-500) == 0


def test_a_job_that_has_ended_leaves_its_part_unread() -> None:
    swap = Swap()
    swap.put(100, 1000, last_job=2)
    swap.job_ended(1, 300)
    assert swap.read(4096) == 70


def test_a_job_that_came_after_the_squeeze_has_nothing_in_swap() -> None:
    swap = Swap()
    swap.put(100, 1000, last_job=2)
    swap.job_ended(3, 300)
    assert swap.read(4096) == 100


def test_when_all_of_its_owners_have_ended_nothing_is_left() -> None:
    swap = Swap()
    swap.put(100, 700, last_job=2)
    swap.job_ended(1, 300)
    swap.job_ended(2, 400)
    assert swap.read(4096) == 0


@given(st.lists(st.tuples(MIB, st.lists(MIB, max_size=3)), max_size=5))
def test_no_more_is_read_than_was_put_there(squeezes: list[tuple[int, list[int]]]) -> None:
    swap, put, read = Swap(), 0, 0.0
    for mib, rooms in squeezes:
        swap.put(mib, 2 * mib, last_job=0)
        put += mib
        read += sum(map(swap.read, rooms))
    assert read <= put
