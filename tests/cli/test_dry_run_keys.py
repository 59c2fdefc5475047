"""The README has every key of a dry run's JSON, and no other."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

from autoscaler.cli.comparison import comparison_json
from autoscaler.learning.shelf import versions_here
from autoscaler.service.models import shelf_beside
from autoscaler.simulation.report.values import Report
from tests.cli.history import MINUTE, PastSite
from tests.cli.site import Site
from tests.learning.models import NOW, a_draft, a_forest
from tests.simulation.runs import a_report, a_run

README = Path(__file__).parents[2] / "README.md"

SIDES = {"this", "against", "done"}
# A decision is stored as it is, a difference may be of any type, and figures have a table of their own.
WHOLE = ("situation", "transfer", "one", "two", "rows")


def documented(mode: str) -> list[str]:
    """The keys in the first column of the table that is headed so."""
    _, _, rest = README.read_text().partition(f"| key of {mode} | unit | meaning |\n|---|---|---|\n")
    rows = takewhile(lambda line: line.startswith("|"), rest.splitlines())
    return [key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])]


def found(*outputs: Any) -> set[str]:
    """All keys of the outputs, dotted. A list that is empty in one of them has in another what is in it."""
    every = {path for output in outputs for path in paths(output)}
    return {path for path in every if not any(other.startswith((f"{path}.", f"{path}[].")) for other in every)}


def paths(value: Any, path: str = "") -> Iterator[str]:
    name = path.rpartition(".")[2]
    if isinstance(value, dict) and value and name not in WHOLE:
        for key, part in value.items():
            yield from paths(part, f"{path}.{general(key, path)}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value) and name not in WHOLE:
        for part in value:
            yield from paths(part, f"{path}[]")
    else:
        yield path


def general(key: str, path: str) -> str:
    """A key that is a name of this output, by what it is a name of."""
    if path.endswith((".hosts", "left_out")):
        return "HOST"
    if path == "figures":
        return "KEY"
    return "SIDE" if path in {"totals", "moments[]"} and key in SIDES else key


def output(site: Site, *arguments: object) -> list[dict[str, Any]]:
    text = site.invoke("dry-run", "--format", "json", *arguments).stdout
    return [json.loads(line) for line in text.splitlines()]


def without_host_2(text: str) -> str:
    return text[: text.index("  - name: host-2")].replace("workers_per_session: 4", "workers_per_session: 3")


def check(mode: str, *outputs: Any) -> None:
    keys = documented(mode)
    assert sorted(keys) == sorted(found(*outputs))


def test_of_a_comparison_of_policies() -> None:
    report: Report = a_report(a_run())
    check("`--scenario`", comparison_json(report))


def test_of_a_replay_of_history(two_hosts: Site, httpserver: HTTPServer) -> None:
    past = PastSite(two_hosts, httpserver)
    past.live()
    past.load.queued = lambda at: None if at >= past.end - 6 * MINUTE else past.queued(at)
    other = two_hosts.folder / "other.yaml"
    other.write_text(without_host_2(two_hosts.text))
    check("`--since`", *output(two_hosts, "--since", "1h", "--against", other))


def test_of_decisions_that_are_decided_again(two_hosts: Site, httpserver: HTTPServer) -> None:
    past = PastSite(two_hosts, httpserver)
    two_hosts.replace("{name: threshold,", "{name: learned,")
    shelf = shelf_beside(two_hosts.store)
    past.live(until=40)
    shelf.promote(shelf.add(a_draft(versions=versions_here()), a_forest(), NOW).number)
    past.live(until=60)
    two_hosts.text = without_host_2(two_hosts.text)
    two_hosts.replace("idle: 5m", "idle: 2h")
    shutil.rmtree(shelf.folder)
    check("`--from-decisions`", *output(two_hosts, "--from-decisions"))


def test_of_the_live_facility(two_hosts: Site) -> None:
    # A stale signal, for which the guards cut.
    two_hosts.exporter.queued, two_hosts.exporter.age_s = 1, 3600
    other = two_hosts.folder / "other.yaml"
    other.write_text(without_host_2(two_hosts.text))
    check("a live dry run", *output(two_hosts, "--against", other))
