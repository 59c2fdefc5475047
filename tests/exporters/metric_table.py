"""The table of metrics in README.md, made from the golden expositions: the README says what the code exposes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.exporters.exposition import GOLDEN

HEALTH = {
    "up": "{source}_up",
    "last_success_timestamp_seconds": "{source}_last_success_timestamp_seconds",
    "scrape_duration_seconds": "{source}_scrape_duration_seconds",
    "read_failures_total": "{source}_read_failures_total",
}
UNITS = {
    "timestamp_seconds": "seconds since the epoch",
    "seconds": "seconds",
    "bytes": "bytes",
    "ratio": "ratio, 1 = whole",
    "info": "always 1",
    "up": "1 or 0",
    "running": "1 or 0",
    "failed": "1 or 0",
    "failing": "1 or 0",
    "in_charge": "1 or 0",
    "known": "1 or 0",
    "needed": "1 or 0",
    "leader": "1 or 0",
    "problem": "1 or 0",
    "refused": "1 or 0",
    "quarantined": "1 or 0",
    "safe_split": "1 or 0",
    "state": "1 or 0",
    "doubt": "always 1",
}
HEADER = ["| metric | type | unit | meaning |", "|---|---|---|---|"]


@dataclass
class Row:
    """One metric: its name as exposed, its type, its help text, and all sets of labels that were seen."""

    name: str
    type: str
    meaning: str
    labels: set[tuple[str, ...]] = field(default_factory=set)

    def __str__(self) -> str:
        """Return the row; a metric whose labels depend on an option shows each set of them."""
        labelled = [f"{{{','.join(names)}}}" if names else "" for names in sorted(self.labels)]
        names = " or ".join(f"`{self.name}{labels}`" for labels in labelled)
        return f"| {names} | {self.type} | {unit(self.name)} | {self.meaning} |"


def unit(name: str) -> str:
    """Return the unit that the name carries by Prometheus' rules; without one, it is a count."""
    stem = name.removesuffix("_total")
    return next((words for suffix, words in UNITS.items() if stem.endswith(f"_{suffix}")), "count")


def exposed_name(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def rows(folder: Path = GOLDEN) -> dict[str, Row]:
    """Return every metric in the golden expositions, by name; the health metrics once for all sources."""
    found: dict[str, Row] = {}
    for file in sorted(folder.glob("*.prom")):
        families = list(text_string_to_metric_families(file.read_text()))
        sources = {family.name.removesuffix("_scrape_duration_seconds") for family in families} & {
            family.name.removesuffix("_up") for family in families
        }
        for family in families:
            name = general_name(exposed_name(family), sources)
            row = found.setdefault(name, Row(name, family.type, family.documentation))
            row.labels.update(tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples)
    return found


def general_name(name: str, sources: set[str]) -> str:
    for source in sources:
        if name.removeprefix(f"{source}_") in HEALTH:
            return HEALTH[name.removeprefix(f"{source}_")]
    return name


def table(folder: Path = GOLDEN) -> str:
    """Return the table in Markdown, sorted by name."""
    return "\n".join([*HEADER, *(str(row) for _, row in sorted(rows(folder).items()))])


def tables_in(document: Path) -> Iterator[str]:
    """Yield every table of metrics that stands in a document."""
    pattern = re.compile(rf"^{re.escape(HEADER[0])}\n(?:\|.*\n)+", re.MULTILINE)
    yield from (match[0].rstrip("\n") for match in pattern.finditer(document.read_text()))
