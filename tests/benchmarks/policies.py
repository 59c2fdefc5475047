"""What others have, beside ours: `python -m tests.benchmarks.policies --traces FOLDER` plays them and prints JSON.

The facility is that of policies.yaml: 16 machines of INFN Torino in 2007. `FOLDER` holds published traces, which are
not in the project. Of the Parallel Workloads Archive: SDSC-BLUE-2000-4.2-cln.swf.gz, whose interactive queue 0 are the
PROOF sessions (8 workers each, whatever they had), and LPC-EGEE-2004-1.2-cln.swf.gz, the Grid jobs; and
slac-lcls-hpss-transfers-2018.csv.gz, what others read from the storage.

* `rows`: the last fifth of the PROOF trace's time. Ours, as it is shipped, is the first one, which the others are
  compared with; then each policy with its own defaults and with the `setting` that the tuning chose. The figures are
  those of `autoscaler dry-run --scenario`;
* `tuning`: the same for the fifth before, on which each setting of tests/benchmarks/peers is played. The lowest cost
  wins, the policy's own defaults where nothing costs less. The idle time of ours is tuned in the same way: it shows
  whether another default would be better.

No policy is judged by sessions that it was tuned on. The Grid jobs and the transfers are shorter traces, of which both
pieces have the same weeks. The costs are those of this model, price and trace, and mean something beside each other
only. They are the same on each machine and with any number of `--jobs`; all of it takes an hour of CPU time.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from autoscaler.cli.comparison import comparison_json, comparison_table
from autoscaler.config.units import duration_text
from autoscaler.contracts import Policy
from autoscaler.simulation.align import make_workload
from autoscaler.simulation.contest import play
from autoscaler.simulation.figures import Figure
from autoscaler.simulation.ranking import Trial, report, tasks
from autoscaler.simulation.report.page import html
from autoscaler.simulation.report.values import Report
from autoscaler.simulation.scenario_file import LoadedScenario, load_scenario
from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.traces.reading import read_reading
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import Trace
from autoscaler.simulation.workload import Job, Reading, Session
from policies.threshold import Threshold
from tests.benchmarks.peers import GRIDS, PEERS, Site

SCENARIO = Path(__file__).with_suffix(".yaml")
SESSIONS, QUEUE = "SDSC-BLUE-2000-4.2-cln.swf.gz", 0
JOBS = "LPC-EGEE-2004-1.2-cln.swf.gz"
READING = "slac-lcls-hpss-transfers-2018.csv.gz"
# Shares of the PROOF trace's time; policies.yaml has the piece that is reported, which begins where this one ends.
TUNING_PIECE = (0.6, 0.8)
SETTING = Figure("", "", "What the tuning chose, or tries; null for the policy's own defaults.")

Command = TypeVar("Command", bound=Callable[..., Any])
Settings = Mapping[str, Sequence[Mapping[str, Any]]]


def threshold(site: Site, **parameters: Any) -> Policy:
    """Ours."""
    return Threshold(workers_per_session=site.workers_per_session, **parameters)


# The first one is what all are compared with.
MAKERS: Mapping[str, Callable[..., Policy]] = {"threshold": threshold, **PEERS}
SETTINGS: Settings = {
    "threshold": tuple({"idle": timedelta(minutes=minutes)} for minutes in (5, 10, 15, 20, 30, 60)),
    **GRIDS,
}


@dataclass(frozen=True)
class Entry:
    """A policy by its name, with a setting or, where it is empty, its own defaults; ``label`` is its row's name."""

    label: str
    name: str
    setting: Mapping[str, Any]

    def made(self, site: Site) -> Policy:
        """The policy; it remembers nothing yet, so it is good for one run."""
        return MAKERS[self.name](site, **self.setting)

    @property
    def words(self) -> str | None:
        """The setting for a row."""
        return in_words(self.setting) or None


def in_words(setting: Mapping[str, Any]) -> str:
    """A setting as a configuration would write it."""
    values = {key: duration_text(value) if isinstance(value, timedelta) else value for key, value in setting.items()}
    return ", ".join(f"{key}: {value}" for key, value in values.items())


@dataclass(frozen=True)
class Ground:
    """What policies are compared on: the facility, and the traces of which a piece is played."""

    loaded: LoadedScenario
    sessions: Trace[tuple[Session, ...]]
    jobs: Trace[tuple[Job, ...]]
    reading: Trace[Reading]

    @classmethod
    def of(cls, folder: Path) -> "Ground":
        """Read the facility and the traces of a folder."""
        loaded = load_scenario(SCENARIO)
        use = loaded.traces
        return cls(
            loaded,
            read_sessions(
                folder / SESSIONS,
                queue=QUEUE,
                workers=use.workers_per_session,
                read_bytes_per_worker_s=use.read_bytes_per_worker_s,
            ),
            read_jobs(folder / JOBS, memory_mib=use.job_memory_mib),
            read_reading(folder / READING, timezone=use.reading_timezone),
        )

    @property
    def site(self) -> Site:
        """The facility as the peers know it."""
        return Site.of(self.loaded.scenario.facility, self.loaded.traces.workers_per_session)

    def play(self, title: str, piece: tuple[float, float], entries: Sequence[Entry], jobs: int) -> Report:
        """Play the entries, and the oracle, on a piece with so many processes."""
        aligned = make_workload(self.sessions, self.jobs, self.reading, piece=piece)
        remarks = [remark for trace in (self.sessions, self.jobs, self.reading) for remark in trace.remarks()]
        trial = Trial(
            title=title,
            scenario=self.loaded.scenario,
            workload=aligned.workload,
            zone=self.sessions.timezone,
            policies={entry.label: entry.made(self.site) for entry in entries},
            about=(*remarks, *aligned.notes),
        )
        all_tasks = tasks(trial)
        found = report(trial, play(all_tasks, jobs, teller(f"{title}: {len(all_tasks)} runs")))
        words = {entry.label: entry.words for entry in entries}
        rows = tuple({**row, "setting": words.get(row["policy"])} for row in found.rows)
        return replace(found, figures={**found.figures, "setting": SETTING}, rows=rows)


def candidates(name: str, settings: Sequence[Mapping[str, Any]], site: Site) -> list[Entry]:
    """The settings of a policy, its own defaults first."""
    entries = [Entry(f"{name} ({in_words(setting)})", name, setting) for setting in settings]
    own = repr(MAKERS[name](site))
    return sorted(entries, key=lambda entry: repr(entry.made(site)) != own)


def compare(folder: Path, settings: Settings, jobs: int) -> tuple[Report, Report]:
    """Tune the policies, and play them with their defaults and tuned: the report of the latter, and of the tuning."""
    ground = Ground.of(folder)
    tried = {name: candidates(name, those, ground.site) for name, those in settings.items()}
    tuning = ground.play("Tuning", TUNING_PIECE, [entry for those in tried.values() for entry in those], jobs)
    costs = {row["policy"]: row["cost"] for row in tuning.rows}
    entries = []
    for name, those in tried.items():
        best = min(those, key=lambda entry: costs[entry.label])
        entries += [Entry(name, name, {}), Entry(f"{name}, tuned", name, best.setting)]
    return ground.play("Policies of others beside ours", ground.loaded.traces.piece, entries, jobs), tuning


def progress(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - beside the output


def teller(what: str) -> Callable[[float], None]:
    """Return what says each twentieth that is done."""
    said = -1

    def tell(share: float) -> None:
        nonlocal said
        if int(share * 20) > said:
            said = int(share * 20)
            progress(f"{what}, {5 * said} % ...")

    return tell


def show(reported: Report) -> None:
    """Print a report for people, beside the output."""
    out = Console(stderr=True, width=130, highlight=False, markup=False, emoji=False)
    for line in (reported.title, *reported.scenario, *reported.workload):
        out.print(line)
    out.print(comparison_table(reported.rows))
    for row in reported.rows:
        if row["setting"]:
            out.print(f"{row['policy']}: {row['setting']}")


def values(reported: Report, tuning: Report) -> dict[str, Any]:
    """Return the output."""
    return {**comparison_json(reported), "tuning": comparison_json(tuning)}


def traces_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Add ``--traces FOLDER``."""
    return click.option(
        "--traces",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        required=required,
        metavar="FOLDER",
        help="Where the published traces are.",
    )


@click.command(help=__doc__.splitlines()[0])
@traces_option()
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that work at once.")
@click.option("--table", is_flag=True, help="Show a table too, on standard error.")
@click.option("--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with plots there.")
def main(traces: Path, jobs: int, *, table: bool, page: Path | None) -> None:
    """Tune, compare, and print the result."""
    reported, tuning = compare(traces, SETTINGS, jobs)
    print(json.dumps(values(reported, tuning), allow_nan=False))  # noqa: T201 - this is its output
    if table:
        show(reported)
    if page is not None:
        page.write_text(html(reported))


if __name__ == "__main__":
    main()
