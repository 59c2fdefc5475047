"""Two courses beside each other: what each came to, and where they differ."""

from datetime import timedelta

from autoscaler.model import Allocation, Decision, Demand, HostDecision, Situation, Step, StepKind, Transfer, Window
from autoscaler.simulation.side_by_side import (
    Course,
    Held,
    Moment,
    Moments,
    Moved,
    Stretch,
    held_after,
    proof_moved_mib,
)
from autoscaler.testing import NOW

MINUTE = timedelta(minutes=1)


def held(workers: int | None, why: str = "why", host: str = "host-1") -> Stretch:
    return Stretch({host: Held(workers, why)})


def moments(*pairs: tuple[Stretch | None, Stretch | None]) -> list[Moment]:
    finder = Moments()
    found = [moment for n, (one, two) in enumerate(pairs) for moment in finder.add(NOW + n * MINUTE, one, two)]
    return [*found, *finder.end(NOW + len(pairs) * MINUTE)]


def spans(found: list[Moment]) -> list[tuple[int, int, int | None, int | None]]:
    return [((one.begin - NOW) // MINUTE, (one.end - NOW) // MINUTE, one.one.workers, one.two.workers) for one in found]


def test_neighbouring_cycles_that_differ_alike_are_one_moment_with_the_reasons_of_its_beginning() -> None:
    (found,) = moments((held(4), held(4)), (held(4), held(0, "first")), (held(4), held(0, "later")), (held(0), held(0)))
    assert spans([found]) == [(1, 3, 4, 0)]
    assert (found.one.reason, found.two.reason) == ("why", "first")


def test_a_difference_of_other_numbers_is_another_moment() -> None:
    assert spans(moments((held(4), held(0)), (held(4), held(2)))) == [(0, 1, 4, 0), (1, 2, 4, 2)]


def test_while_one_of_them_is_not_known_they_do_not_differ() -> None:
    assert moments((None, held(4)), (held(None), held(4)), (held(4, host="host-2"), held(2))) == []


def test_a_course_counts_changes_memory_workers_and_hours_by_host_and_in_all() -> None:
    course = Course()
    course.add(Stretch({"a": Held(4, ""), "b": Held(0, "")}, (Moved("a", 3168),)), MINUTE)
    course.add(Stretch({"a": Held(4, ""), "b": Held(2, "")}, (Moved("b", 1584),), unknown=True), MINUTE)
    course.add(None, MINUTE)
    total = course.total
    assert (total.changes, total.moved_mib, total.granted_worker_s, total.awake_s) == (2, 4752, 600, 180)
    assert (course.hosts["b"].granted_worker_s, course.hosts["b"].awake_s) == (120, 60)
    assert (course.known_s, course.unknown_signals_s) == (120, 60)


def test_a_host_that_is_left_alone_keeps_what_it_was_granted() -> None:
    hosts = (HostDecision("a", None, None, None, "in transfer"), HostDecision("b", None, None, None, "unusable"))
    decision = Decision(NOW, "", Situation(Window(NOW), ()), Demand(None, ""), hosts)
    found = held_after(decision, {"a": Held(4, "grow")})
    assert found == {"a": Held(4, "in transfer"), "b": Held(None, "unusable")}


def test_what_moved_is_the_memory_of_the_proof_domain() -> None:
    def step(kind: StepKind, domain: str, before: int, after: int) -> Step:
        return Step(kind, domain, Allocation(before, 1), Allocation(after, 1))

    steps = (
        step(StepKind.SHRINK, "wn", 6911, 3743),
        step(StepKind.GROW, "proof", 572, 3740),
        step(StepKind.CPU, "proof", 3740, 3740),
    )
    assert proof_moved_mib(Transfer("a", 0, 4, 7483, steps), "proof") == 3168
