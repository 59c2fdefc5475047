"""The numbers of datagrams, and what they tell about losses."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from exporters.xrootd.sequence import PATIENCE, Sequence
from tests.exporters.fuzzing import unhurried


def lost(numbers: list[int]) -> int:
    """Return how many are lost of a stream that went on for long after these."""
    sequence = Sequence()
    for number in numbers:
        sequence.take(number % 256)
    for number in range(numbers[-1] + 1, numbers[-1] + 1 + 2 * PATIENCE):
        sequence.take(number % 256)
    return sequence.lost


def test_a_stream_without_gaps_has_lost_nothing_wherever_it_begins_and_however_often_it_wraps() -> None:
    assert lost(list(range(100, 1000))) == 0


def test_a_gap_is_as_many_losses_as_numbers_are_missing() -> None:
    assert lost([0, 1, 5, 6]) == 3


def test_a_gap_over_the_wrap_is_counted_right() -> None:
    assert lost([254, 255 + 3]) == 3


def test_a_datagram_that_is_overtaken_is_not_lost() -> None:
    assert lost([0, 2, 3, 1, 4]) == 0


def test_a_datagram_that_is_overtaken_over_the_wrap_is_not_lost() -> None:
    assert lost([254, 256, 255, 257]) == 0


def test_a_datagram_that_comes_twice_is_no_loss() -> None:
    assert lost([0, 1, 1, 0, 2]) == 0


def test_a_loss_is_counted_when_the_datagram_can_no_longer_be_on_its_way() -> None:
    sequence = Sequence()
    for number in (0, *range(2, 1 + PATIENCE)):
        sequence.take(number)
    assert sequence.lost == 0
    sequence.take(1 + PATIENCE)
    assert sequence.lost == 1


def test_who_comes_behind_its_turn_is_late() -> None:
    sequence = Sequence()
    assert [sequence.take(number) for number in (7, 9, 8, 9, 10)] == [False, False, True, True, False]


def test_a_long_gap_is_a_gap_and_what_follows_is_not_late() -> None:
    sequence = Sequence()
    assert [sequence.take(number) for number in (0, 200, 201)] == [False, False, False]
    assert lost([0, 200, 201]) == 199


@unhurried
@given(st.lists(st.integers(1, PATIENCE - 1)), st.sets(st.integers(0, 100)))
def test_whatever_is_dropped_and_overtaken_the_losses_are_right(steps: list[int], overtaken: set[int]) -> None:
    sent = list(accumulate(steps, initial=1000))
    came = sent.copy()
    for place in range(1, len(sent) - 1, 2):
        if place in overtaken:
            came[place], came[place + 1] = sent[place + 1], sent[place]
    assert lost([*came, sent[-1] + 1]) == sum(steps) - len(steps)


@unhurried
@given(st.lists(st.integers(0, 255)))
def test_no_numbers_fill_the_memory_or_make_the_losses_fall(numbers: list[int]) -> None:
    sequence = Sequence()
    before = 0
    for number in numbers:
        sequence.take(number)
        assert sequence.lost >= before
        assert len(sequence._missing) <= PATIENCE
        before = sequence.lost
