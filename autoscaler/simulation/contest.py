"""Many runs: one after the other, in processes of this machine, or on a Dask cluster; the result is the same."""

import multiprocessing
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from autoscaler.contracts import Policy
from autoscaler.simulation.run import Run
from autoscaler.simulation.scenario import Scenario
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Workload

# How often the bar moves while other processes work.
POLL_S = 0.5
WORKERS_TIMEOUT_S = 30

Tell = Callable[[float], None]


class ClusterError(Exception):
    """The Dask cluster cannot be used; the message names its address and says what to do."""


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be made."""

    scenario: Scenario
    workload: Workload
    policy: Policy
    label: str


def play(tasks: Sequence[Task], jobs: int, tell: Tell) -> list[Run]:
    """Make all runs with so many processes, in their order; ``tell`` is told the share that is done.

    Raises ``PolicyFailedError`` for a run that fails. Ends every child process of this one when it is interrupted.
    """
    if jobs == 1 or len(tasks) == 1:
        return [_play(task, partial(_tell_part, tell, number, len(tasks))) for number, task in enumerate(tasks)]
    # A process that was forked would have the locks of this one's threads, in the state they were in.
    context = multiprocessing.get_context("spawn")
    shares: Any = context.Array("d", len(tasks))
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, _share_with, (shares,)) as pool:
        try:
            with _deaf_to_ctrl_c():
                futures = [pool.submit(_play_in_process, number, task) for number, task in enumerate(tasks)]
            for _ in _rounds(futures):
                tell(sum(shares) / len(tasks))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Nobody waits for what is under way: a run may take minutes.
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        return [future.result() for future in futures]


def play_on_dask(tasks: Sequence[Task], address: str, tell: Tell) -> list[Run]:
    """Make all runs on the cluster whose scheduler is at ``address``; raises ``ClusterError``, ``PolicyFailedError``.

    Its workers need this package in the same version.
    """
    try:
        from distributed import Client, as_completed  # noqa: PLC0415 - an extra that few sites have
    except ImportError:
        raise ClusterError("--dask needs the package distributed: pip install 'vaf-autoscaler[dask]'") from None
    if not re.fullmatch(r"[a-z]+://.+:[0-9]+", address):
        raise ClusterError(f"{address!r} is not the address of a Dask scheduler, such as tcp://HOST:8786")
    try:
        client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_TIMEOUT_S)
        except TimeoutError:
            raise ClusterError(f"the Dask scheduler at {address} has no workers: start one there") from None
        # Policies and workloads are values: two runs that look alike are not to be made only once.
        futures = [client.submit(_play_alone, task, pure=False) for task in tasks]
        for done, future in enumerate(as_completed(futures, loop=client.loop), start=1):
            future.result()
            tell(done / len(tasks))
        return [future.result() for future in futures]


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that begin here leave Ctrl-C to this one, which ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell_part(tell: Tell, number: int, of: int, share: float) -> None:
    tell((number + share) / of)


def _rounds(futures: Sequence[Future[Run]]) -> Iterator[None]:
    """A round each moment until all are done; raises what one of them raised."""
    left: set[Future[Run]] = set(futures)
    while left:
        done, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        yield


_shares: Any = None


def _share_with(shares: Any) -> None:
    global _shares  # noqa: PLW0603 - the only way into a process of the pool
    _shares = shares


def _play_in_process(number: int, task: Task) -> Run:
    return _play(task, lambda share: _shares.__setitem__(number, share))


def _play_alone(task: Task) -> Run:
    return _play(task, lambda _share: None)


def _play(task: Task, tell: Tell) -> Run:
    return simulate(task.scenario, task.workload, task.policy, task.label, tell)
