"""Runs made by hand and by hypothesis, for what is computed from them."""

import numpy as np
from hypothesis import strategies as st

from autoscaler.simulation.run import Course, Cycles, Floats, Move, Run, Served
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.testing import a_host

WEEK_S = 7 * 86400.0


def a_scenario(wait_core_s: float = 2.0) -> Scenario:
    return Scenario((Machine(a_host(), cores=8, job_slots=8),), Price(wait_core_s))


def served(submit_s: float, wait_s: float = 0.0, run_s: float = 100.0, workers: int = 1) -> Served:
    """A session that waited and then ran as fast as it can."""
    start_s = submit_s + wait_s
    return Served(submit_s, run_s, workers, start_s, start_s + run_s, hit=wait_s == 0)


def unserved(submit_s: float, run_s: float = 100.0, workers: int = 1) -> Served:
    return Served(submit_s, run_s, workers, None, None, hit=False)


def a_move(at_s: float, moved_mib: int = 1024, swapped_mib: int = 0) -> Move:
    return Move(at_s, "host-1", 0, 1, moved_mib, swapped_mib, "a session waits")


def a_course(at_s: list[float], demand: list[float], supply: list[float]) -> Course:
    return Course(np.array(at_s), np.array(demand), np.array(supply))


def cycles(wanted: list[float], used: list[float], interval_s: float = 60.0) -> Cycles:
    """Cycles in which PROOF used 36 core seconds, two workers were spare, and 256 MiB were read back from swap."""
    nothing = np.zeros(len(wanted))
    return Cycles(
        interval_s,
        np.array(wanted),
        np.array(used),
        nothing + 36.0,
        nothing + 2 * interval_s,
        nothing + 256.0,
        nothing,
        nothing,
    )


def a_run(
    duration_s: float,
    *,
    sessions: tuple[Served, ...] = (),
    moves: tuple[Move, ...] = (),
    course: Course | None = None,
    spent: Cycles | None = None,
    policy: str = "threshold",
) -> Run:
    """A run in which nothing was, but for what is given."""
    course = course or a_course([0.0], [0.0], [0.0])
    return Run(policy, duration_s, sessions, moves, course, spent or cycles([], []), 7, 5, 3)


@st.composite
def courses(draw: st.DrawFn) -> tuple[Floats, Floats, Floats, float]:
    """Draw times, demand, supply and the duration of a course."""
    spans = draw(st.lists(st.integers(1, 500), min_size=1, max_size=30))
    count = len(spans)
    workers = st.lists(st.integers(0, 20), min_size=count, max_size=count)
    ends = np.cumsum(spans).astype(float)
    at_s = np.concatenate(([0.0], ends[:-1]))
    return at_s, np.array(draw(workers), float), np.array(draw(workers), float), float(ends[-1])


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Draw a run of hours to weeks; its course, cycles and sessions need not agree with each other."""
    at_s, demand, supply, course_s = draw(courses())
    duration_s = draw(st.sampled_from([7200.0, 0.4 * WEEK_S, 1.3 * WEEK_S, 5.7 * WEEK_S]))
    times = st.floats(0, duration_s - 1)
    arrivals = draw(st.lists(times, max_size=20).map(sorted))
    sessions = tuple(
        unserved(at) if draw(st.booleans()) else served(at, draw(st.floats(0, 0.5)), 0.4, draw(st.integers(1, 4)))
        for at in arrivals
    )
    moves = tuple(a_move(at, draw(st.integers(-4096, 4096)), draw(st.integers(0, 99))) for at in draw(st.lists(times)))
    interval_s = duration_s / 12
    used = draw(st.lists(st.floats(0, 100), min_size=12, max_size=12))
    wanted = [value + draw(st.floats(0, 50)) for value in used]
    return a_run(
        duration_s,
        sessions=sessions,
        moves=moves,
        course=Course(at_s * duration_s / course_s, demand, supply),
        spent=cycles(wanted, used, interval_s),
    )
