"""What a forecast costs when days come that it was not made for: `learned` beside `threshold` in the facility model.

A made site: ten machines whose slots are nearly full of batch jobs, and people who come by the local hour and weekday.
A model is trained on eight weeks of it. Some days like those are played first, so that the forecast has a say, then the
episode at its real length, and ordinary days again, on which the forecast has to come back. In its real life the model
would be made anew each night; here it stays as it is, and its age is not held against it.

Costs are core hours, by the facility model's price, of the days `before`, of the `episode`, and of those `after` it;
`ratio_...` are those of `learned` by those of `threshold`, null where the latter costs nothing (`worst_...`: of the
seeds), and `ratio` is of the episode with the days after it. `extra_share` is what `learned` costs more in the episode,
as a share of what as many ordinary days cost `threshold`.

The days are played with the machines' names dealt anew (dealing.py), and a seed's costs are the means over those;
`ratio_of_each` has the ratio with each dealing, `ratio_error` the standard error of `ratio` (jackknife). An episode
that fills the farm is played with four times as many: whether somebody then waits for hours is luck, with either
policy.
`stepped_back_ratio` is the share of the episode's minutes in which the forecast had no say.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from statistics import pstdev
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from autoscaler.config.schema import LearningSection
from autoscaler.contracts import Policy
from autoscaler.learning.training import train
from autoscaler.model import Demand, Memory, Window
from autoscaler.service.minutes import from_sessions
from autoscaler.service.training import LEVELS
from autoscaler.simulation.figures import HOUR_S, experience, lost_core_s
from autoscaler.simulation.run import Run
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Job, Session, Workload
from policies.learned import Learned
from policies.threshold import Threshold
from tests.benchmarks import made_site
from tests.benchmarks.dealing import dealt, mean_figures
from tests.benchmarks.made_site import DAY_S, WORKERS, Random, batch_jobs, interest, scenario
from tests.policies.adversarial import Altered, clock_set, unread

ZONE = ZoneInfo("Europe/Rome")
HOSTS = 10
# Nine tenths of the slots have a job.
JOBS_A_DAY = 375
VISITS_A_DAY = 40
TRAINED_DAYS = 56
# What a site has that says nothing of it.
HORIZON_MIN = LearningSection().horizon // timedelta(minutes=1)
# Before an episode and after it.
ORDINARY_DAYS = 3
AGELESS = timedelta(days=366)
# At ten in the morning. The clocks change in the first night of the episode.
SPRING, SUMMER = datetime(2026, 3, 25, 10, tzinfo=ZONE), datetime(2026, 6, 1, 10, tzinfo=ZONE)
AUTUMN = datetime(2026, 10, 21, 10, tzinfo=ZONE)
SEED = 20261127
MORE_DEALINGS = 4
# Core hours: sums are rounded.
NOTHING = 0.01
PIECES = ("before", "episode", "after")

# After an episode began, at one o'clock.
FLOOD_S = 3 * HOUR_S

Sessions = list[Session]
# What is found of one play.
Found = dict[str, Any]


@dataclass(frozen=True)
class Episode:
    """So many days that are unlike the others.

    ``people`` come there in such a share of their usual number, and ``more`` of theirs beside them. ``altered`` is how
    a window is seen, by when the episode begins and ends; ``more_jobs`` are batch jobs that come at once. One that
    ``fills`` the farm needs more dealings of names to tell anything.
    """

    days: float
    people: float = 1.0
    more: Callable[[float], Sessions] = lambda _days: []
    more_jobs: int = 0
    altered: Callable[[datetime, datetime], Callable[[Window], Window]] | None = None
    start: datetime = SUMMER
    fills: bool = False

    def dealings(self, usual: int) -> int:
        """How many dealings of names it is played with."""
        return MORE_DEALINGS * usual if self.fills else usual


EPISODES: Mapping[str, Episode] = {
    "step up": Episode(7, people=3.0, fills=True),
    "step down": Episode(7, people=1 / 3),
    "holidays": Episode(30, people=0.03),
    "flood of sessions": Episode(1, more=lambda _days: [Session(FLOOD_S, 60.0, WORKERS)] * 1000, fills=True),
    "flood of batch jobs": Episode(1, more_jobs=1000),
    "summer time begins": Episode(7, start=SPRING),
    "summer time ends": Episode(7, start=AUTUMN),
    "clock set forward": Episode(7, altered=lambda begin, _end: clock_set(begin, timedelta(hours=1))),
    "clock set back": Episode(7, altered=lambda begin, _end: clock_set(begin, timedelta(hours=-1))),
    "missing data": Episode(7, altered=unread),
    "constant": Episode(7, people=0.0, more=lambda days: [Session(60.0, days * DAY_S - 120.0, WORKERS)] * 2),
    "zeros": Episode(7, people=0.0),
}


@dataclass(frozen=True)
class Play:
    """An episode to be played by a policy, with names that are dealt to the machines by a number."""

    episode: str
    seed: int
    dealing: int
    label: str
    policy: Policy


@dataclass
class Watched:
    """A policy, and whether a forecast of it had a say, cycle by cycle."""

    policy: Policy
    signals: tuple[str, ...] = ()
    heeds: tuple[str, ...] = ()
    history: timedelta = timedelta(0)
    stood: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signals, self.history = self.policy.signals, self.policy.history
        self.heeds = getattr(self.policy, "heeds", ())

    def decide(self, window: Window) -> Demand:
        """Ask it."""
        return self.policy.decide(window)

    def remember(self, window: Window, demand: Demand) -> Memory:
        """Ask it, and see how it stands."""
        memory = self.policy.remember(window, demand) if isinstance(self.policy, Learned) else {}
        self.stood.append(bool(memory.get("who", (0.0,))[0]))
        return memory


def measure(seeds: int, dealings: int, jobs: int, tell: Callable[[float], None]) -> dict[str, Any]:
    """Play all episodes with so many seeds, dealings of names and processes; what each seed gave, and the worst one."""
    policies = {"threshold": Threshold(workers_per_session=WORKERS), "learned": learned()}
    plays = [
        Play(name, seed, dealing, label, policy)
        for name in EPISODES
        for seed in range(seeds)
        for label, policy in policies.items()
        for dealing in range(EPISODES[name].dealings(dealings))
    ]
    found = iter(list(_told(_found(plays, jobs), len(plays), tell)))

    def pair(name: str) -> dict[str, Any]:
        each = range(EPISODES[name].dealings(dealings))
        return _compared(name, *([next(found) for _ in each] for _ in policies))

    return {name: _row([pair(name) for _ in range(seeds)]) for name in EPISODES}


def _found(plays: Sequence[Play], jobs: int) -> Iterator[Found]:
    if jobs == 1:
        yield from map(played, plays)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(played, plays)


def _told(found: Iterator[Found], count: int, tell: Callable[[float], None]) -> Iterator[Found]:
    for number, each in enumerate(found, start=1):
        yield each
        tell(number / count)


def _compared(name: str, ruled: Sequence[Found], forecast: Sequence[Found]) -> dict[str, Any]:
    """One seed's days, with each dealing of names."""
    whole = [[found["episode"] + found["after"] for found in each] for each in (forecast, ruled)]
    means = {label: mean_figures(found) for label, found in (("threshold", ruled), ("learned", forecast))}
    ordinary = means["threshold"]["before"] / ORDINARY_DAYS * EPISODES[name].days
    more = means["learned"]["episode"] - means["threshold"]["episode"]
    return {
        "ratio": _ratio(sum(whole[0]), sum(whole[1])),
        "ratio_error": _jackknife(*whole),
        "ratio_of_each": [_ratio(*costs) for costs in zip(*whole, strict=True)],
        **{f"ratio_{piece}": _ratio(means["learned"][piece], means["threshold"][piece]) for piece in PIECES},
        "extra_share": _ratio(more, ordinary),
        **means,
    }


def _jackknife(parts: Sequence[float], wholes: Sequence[float]) -> float | None:
    """The standard error of a ratio of sums (Efron and Tibshirani, An Introduction to the Bootstrap, 11.5)."""
    count, part, whole = len(parts), sum(parts), sum(wholes)
    left = [_ratio(part - own, whole - other) for own, other in zip(parts, wholes, strict=True)]
    known = [each for each in left if each is not None]
    return pstdev(known) * (count - 1) ** 0.5 if len(known) == count > 1 else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > NOTHING else None


def _row(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    keys = ["ratio", "extra_share", *(f"ratio_{piece}" for piece in PIECES)]
    worst = {key: max((each[key] for each in seeds if each[key] is not None), default=None) for key in keys}
    return {**{f"worst_{key}": value for key, value in worst.items()}, "seeds": seeds}


def played(play: Play) -> Found:
    """What an episode costs under a policy."""
    episode = EPISODES[play.episode]
    begin = episode.start + timedelta(days=ORDINARY_DAYS)
    watched = Watched(play.policy)
    policy: Policy = watched
    if episode.altered is not None:
        policy = Altered(policy, episode.altered(begin, begin + timedelta(days=episode.days)))
    run = simulate(dealt(scenario(HOSTS), play.dealing), workload(episode, play.seed), policy, play.label)
    edges_s = [0.0, ORDINARY_DAYS * DAY_S, (ORDINARY_DAYS + episode.days) * DAY_S, run.duration_s]
    lived = experience(run)
    inside = (lived.submit_s >= edges_s[1]) & (lived.submit_s < edges_s[2])
    first, last = (int(edge_s / run.cycles.interval_s) for edge_s in edges_s[1:3])
    stood = watched.stood[first:last]
    return {
        **dict(zip(PIECES, costs(run, edges_s), strict=True)),
        "missed_arrivals_ratio": float(lived.missed[inside].mean()) if inside.any() else None,
        "sessions": int(inside.sum()),
        "stepped_back_ratio": 1 - sum(stood) / len(stood),
        "moves": len(run.moves),
    }


def costs(run: Run, edges_s: Sequence[float]) -> list[float]:
    """Core hours of each piece: of the sessions that came, and of the batch work that was lost in it."""
    lived, lost = experience(run), lost_core_s(run)
    cycles_s = np.arange(len(lost)) * run.cycles.interval_s
    waited = np.histogram(lived.submit_s, edges_s, weights=lived.wait_s)[0] * scenario(HOSTS).price.wait_core_s
    return [float(each) / HOUR_S for each in waited + np.histogram(cycles_s, edges_s, weights=lost)[0]]


def workload(episode: Episode, seed: int) -> Workload:
    """Ordinary days, the episode, and ordinary days."""
    random = np.random.default_rng([SEED, seed])
    days = 2 * ORDINARY_DAYS + episode.days
    begin_s, end_s = ORDINARY_DAYS * DAY_S, (ORDINARY_DAYS + episode.days) * DAY_S
    usual = people(episode.start, days, random)
    unlike = people(episode.start, days, random, episode.people) if episode.people != 1 else usual
    sessions = [each for each in usual if not begin_s <= each.submit_s < end_s]
    sessions += [each for each in unlike if begin_s <= each.submit_s < end_s]
    sessions += [replace(each, submit_s=each.submit_s + begin_s) for each in episode.more(episode.days)]
    jobs = _jobs(days, random)
    jobs += [replace(each, submit_s=begin_s + FLOOD_S) for each in _jobs(10, random)[: episode.more_jobs]]
    return Workload(
        episode.start.astimezone(UTC),
        days * DAY_S,
        tuple(sorted(sessions, key=lambda each: each.submit_s)),
        tuple(sorted(jobs, key=lambda each: each.submit_s)),
    )


def people(start: datetime, days: float, random: Random, share: float = 1.0) -> Sessions:
    """Sessions of so many days, by the local hour and weekday."""
    visits_an_hour = interest(start, int(days * 24), ZONE) / 24 * VISITS_A_DAY * share
    return made_site.sessions(visits_an_hour, days * DAY_S, random)


def _jobs(days: float, random: Random) -> list[Job]:
    return batch_jobs(int(JOBS_A_DAY * days), days * DAY_S, random)


def learned() -> Learned:
    """The learned policy with a model of ordinary weeks."""
    begin = SPRING - timedelta(days=TRAINED_DAYS)
    past = people(begin, TRAINED_DAYS, np.random.default_rng([SEED, 2**16]))
    minutes = from_sessions(past, begin, ZONE, "made")
    forest = train(minutes.loads, minutes.start, horizon_min=HORIZON_MIN, levels=LEVELS, zone=ZONE)
    return Learned(
        workers_per_session=WORKERS,
        model_max_age=AGELESS,
        forecaster=forest,
        trained_until=SPRING,
        zone=ZONE,
    )
