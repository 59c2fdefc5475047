"""How long nobody leads when the leader is killed, stopped, cut off from the database, or the database is restarted.

    python -m tests.benchmarks.handover --times 3

Wants root and a PostgreSQL server. Prints one JSON object a measurement: seconds from the disturbance until another
controller has finished its first cycle as the leader. After a restart of the database it may be either, and the time in
which that was down counts. Asked for: 10 s.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from tests.testbed.postgres_server import Postgres, postgres
from tests.testbed.processes import wait_until
from tests.testbed.two_controllers import DEADLINE_S, GUESTS_MIB, Pair, two_controllers

DATABASE = "database restart"
DISTURBANCES: dict[str, Callable[[Pair], object]] = {
    "kill -9": lambda pair: pair.first.process.kill9(),
    "SIGSTOP": lambda pair: pair.first.process.pause(),
    "network cut": lambda pair: pair.proxy.cut(),
    DATABASE: lambda pair: pair.postgres.restart(),
}


def measure(server: Postgres, what: str) -> dict[str, Any]:
    """One hand-over under a load that comes and goes."""
    with two_controllers(server) as pair, pair.busy():
        # One that is stopped does not answer, and asking it would take time.
        asked = [pair.first, pair.second] if what == DATABASE else [pair.second]
        began_s = time.time()
        DISTURBANCES[what](pair)
        done_s = time.time() if what == DATABASE else began_s
        wait_until(
            lambda: any(each.leads and each.finished_at_s > done_s for each in asked), DEADLINE_S, "somebody to lead"
        )
        seconds = time.time() - began_s
    times = {"seconds": round(seconds, 2), "database_down_s": round(done_s - began_s, 2)}
    return {"what": what, **times, "most_mib": pair.most_mib, "allowed_mib": GUESTS_MIB}


def measured(times: int) -> Iterator[dict[str, Any]]:
    """Each disturbance so many times, each with controllers of its own."""
    with postgres() as server:
        for _ in range(times):
            for what in DISTURBANCES:
                yield measure(server, what)


@click.command()
@click.option("--times", type=click.IntRange(min=1), default=3, show_default=True, help="Measurements of each kind.")
def main(times: int) -> None:
    """Measure hand-overs between two real controllers."""
    for each in measured(times):
        click.echo(json.dumps(each))


if __name__ == "__main__":
    main()
