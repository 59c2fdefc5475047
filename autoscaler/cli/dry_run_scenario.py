"""A dry run of policies on recorded workloads: how each would have served users and Grid on a facility of its own."""

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import islice
from pathlib import Path

import click
from rich.console import Console

from autoscaler.cli.common import ConfigFailure, width
from autoscaler.cli.comparison import comparison_json, comparison_table
from autoscaler.cli.dry_run_asked import Asked, Contest, short_names
from autoscaler.cli.progress import share_bar
from autoscaler.config.document import ConfigError, did_you_mean
from autoscaler.config.policies import PolicyError, make_policy, policy_names
from autoscaler.contracts import Policy
from autoscaler.service.models import takes_a_model
from autoscaler.simulation.align import make_workload
from autoscaler.simulation.contest import ClusterError, Task, play, play_on_dask
from autoscaler.simulation.ranking import ORACLE, Trial, report, tasks
from autoscaler.simulation.report.values import Report
from autoscaler.simulation.run import Run
from autoscaler.simulation.scenario import PolicyChoice
from autoscaler.simulation.scenario_file import LoadedScenario, load_scenario
from autoscaler.simulation.simulate import PolicyFailedError
from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.traces.reading import read_reading
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import TraceError

HTML = "html"


def compare_policies(asked: Asked) -> int:
    """Play every policy on every scenario and show what it comes to; return the exit code."""
    contest = asked.contest
    if contest.proof_trace is None:
        raise click.UsageError("--scenario needs --proof-trace FILE: the sessions that come")
    if asked.output == HTML and contest.output_file is None:
        raise click.UsageError(f"--format {HTML} needs --output FILE")
    if asked.output == HTML and len(contest.scenarios) > 1:
        raise click.UsageError(f"--format {HTML} is of one scenario: give --scenario once")
    if contest.output_file is not None:
        _refuse_early(contest.output_file)
    try:
        named = zip(contest.scenarios, short_names(contest.scenarios), strict=True)
        trials = [_trial(path, name, contest, contest.proof_trace) for path, name in named]
        reports = _reports(trials, contest)
    except (ConfigError, TraceError, PolicyFailedError, ClusterError) as error:
        raise ConfigFailure(str(error)) from None
    text = "".join(_text(asked.output, reports))
    if contest.output_file is None:
        click.echo(text, nl=False)
    else:
        _write(contest.output_file, text)
    return 0


def _trial(path: Path, name: str, contest: Contest, proof_trace: Path) -> Trial:
    loaded = load_scenario(path)
    use = loaded.traces
    policies = _policies(path, loaded, contest.policies)
    sessions = read_sessions(
        proof_trace,
        queue=contest.proof_queue,
        workers=use.workers_per_session,
        read_bytes_per_worker_s=use.read_bytes_per_worker_s,
    )
    jobs = None if contest.wn_trace is None else read_jobs(contest.wn_trace, memory_mib=use.job_memory_mib)
    others = contest.xrootd_trace
    reading = None if others is None else read_reading(others, timezone=use.reading_timezone)
    aligned = make_workload(sessions, jobs, reading, piece=use.piece)
    traces = [trace for trace in (sessions, jobs, reading) if trace is not None]
    about = [remark for trace in traces for remark in trace.remarks()]
    about += [
        f"{label} is played without a model, and so decides as the threshold rule does: autoscaler train with "
        "--proof-trace, --wn-trace and --scenario plays it with one"
        for label, policy in policies.items()
        if takes_a_model(policy)
    ]
    if about and use.piece != (0.0, 1.0):
        about.append(
            f"what is counted in a trace is of the whole file; played is the piece {use.piece[0]:g} to {use.piece[1]:g}"
        )
    return Trial(
        title=f"Policies on {name}",
        scenario=loaded.scenario,
        workload=aligned.workload,
        zone=sessions.timezone,
        policies=policies,
        about=(*about, *aligned.notes),
    )


def _policies(path: Path, loaded: LoadedScenario, labels: Sequence[str]) -> Mapping[str, Policy]:
    """The policies that are asked for, all of the scenario by default; the oracle is there in any case."""
    if ORACLE in loaded.policies:
        raise ConfigFailure(f"{path}: policies.{ORACLE}: the oracle is always compared with: choose another label")
    labels = [label for label in labels or tuple(loaded.policies) if label != ORACLE]
    if not labels:
        raise click.UsageError(
            f"--policies A,B,C is missing: {path} names none, and the {ORACLE} is no policy to choose"
        )
    known = {*loaded.policies, *policy_names()}
    for label in labels:
        if label not in known and (meant := did_you_mean(label, list(loaded.policies))):
            raise ConfigFailure(f"--policies: {label}: {path} has no such label{meant}")
    return {label: _policy(path, loaded.policies.get(label) or PolicyChoice(label, label)) for label in labels}


def _policy(path: Path, choice: PolicyChoice) -> Policy:
    try:
        return make_policy(choice.name, choice.parameters)
    except PolicyError as error:
        hint = f"what is not installed, or needs parameters, stands under policies: in {path}"
        raise ConfigFailure(f"--policies: {choice.label}: {error} ({hint})") from None


def _reports(trials: Sequence[Trial], contest: Contest) -> list[Report]:
    """One report for each trial; all their runs are made together."""
    all_tasks = [tasks(trial) for trial in trials]
    runs = iter(_play([task for of_trial in all_tasks for task in of_trial], contest))
    return [report(trial, list(islice(runs, len(mine)))) for trial, mine in zip(trials, all_tasks, strict=True)]


def _play(all_tasks: Sequence[Task], contest: Contest) -> list[Run]:
    with share_bar(f"playing {len(all_tasks)} runs") as tell:
        if contest.dask is not None:
            return play_on_dask(all_tasks, contest.dask, tell)
        return play(all_tasks, contest.jobs, tell)


def _text(output: str, reports: Sequence[Report]) -> Iterator[str]:
    if output == HTML:
        from autoscaler.simulation.report.page import html  # noqa: PLC0415 - plotly takes a second to import

        yield html(reports[0])
    elif output == "json":
        values = [comparison_json(each) for each in reports]
        yield json.dumps(values[0] if len(values) == 1 else {"scenarios": values}, allow_nan=False) + "\n"
    else:
        for each in reports:
            yield _table(each)


def _table(shown: Report) -> str:
    out = Console(file=StringIO(), width=width() or Console().width, highlight=False, markup=False, emoji=False)
    out.print(shown.title)
    for line in (*shown.scenario, *shown.workload):
        out.print(f"  {line}")
    out.print(comparison_table(shown.rows))
    for row in shown.rows:
        if row.get("verdict"):
            out.print(f"{row['policy']} against {row['against']}: {row['verdict']}: {row['verdict_reason']}")
    for row in shown.rows:
        if row["sessions_unserved"]:
            out.print(f"{row['policy']}: {row['sessions_unserved']} sessions never got their workers")
    hardly = ' ("-" where it costs nearly nothing)' if any(row["regret_ratio"] is None for row in shown.rows) else ""
    out.print(f"{ORACLE} knows the traces: what the others cost more is their regret{hardly}")
    out.print("JSON and HTML have all figures")
    text: str = out.file.getvalue()  # type: ignore[attr-defined]
    return text


def _refuse_early(path: Path) -> None:
    """Before the long work, and not after it."""
    if not path.parent.is_dir():
        raise ConfigFailure(f"{path}: cannot be written: {os.strerror(errno.ENOENT)}")
    if path.is_dir():
        raise ConfigFailure(f"{path}: cannot be written: {os.strerror(errno.EISDIR)}")


def _write(path: Path, text: str) -> None:
    """Write a whole file or leave what was there."""
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            whole = Path(folder, path.name)
            whole.write_text(text, encoding="utf-8")
            whole.replace(path)
    except OSError as error:
        raise ConfigFailure(f"{path}: cannot be written: {error.strerror}") from None
