"""An exporter that runs as a process, and what it serves over HTTP: for tests that look at it as Prometheus does."""

import re
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.testbed.processes import Process

EXPORTER = Path(sys.executable).with_name("vaf-exporter")
DEADLINE_S = 300

Values = dict[str, float]


class Exporter:
    """A running exporter; the values it serves go by name and label values, for example "wn_jobs running"."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.wait_until(self._find_url, DEADLINE_S, "the exporter")

    @property
    def address(self) -> str:
        """ADDR:PORT, as Prometheus names a target."""
        return self.url.split("/")[2]

    def _find_url(self) -> str | None:
        found = re.search(r"serving (https?://\S+)", self.process.log_tail())
        return found[1] if found else None

    def scrape(self) -> Values:
        """Return what is served now."""
        with urllib.request.urlopen(self.url, timeout=30) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}

    def scrape_until(self, condition: Callable[[Values], bool], what: str) -> list[Values]:
        """Scrape until the values fulfil the condition; return all that was seen, the last one fulfilling it."""
        seen: list[Values] = []

        def fulfilled() -> bool:
            seen.append(self.scrape())
            return condition(seen[-1])

        try:
            self.process.wait_until(fulfilled, DEADLINE_S, what)
        except AssertionError as error:
            error.add_note(f"the last scrape: {seen[-1:]}")
            raise
        return seen


def exporter_process(*arguments: object, scratch: Path, env: Mapping[str, str] | None = None) -> Process:
    """Return the process of ``vaf-exporter`` with these arguments on a free port; ``with`` starts and ends it."""
    argv = [str(word) for word in (EXPORTER, *arguments, "--listen", "127.0.0.1:0")]
    return Process(argv, scratch, env=env)


@contextmanager
def running_exporter(*arguments: object, scratch: Path, env: Mapping[str, str] | None = None) -> Iterator[Exporter]:
    """Run ``vaf-exporter`` with these arguments on a free port, and end it."""
    with exporter_process(*arguments, scratch=scratch, env=env) as process:
        yield Exporter(process)
