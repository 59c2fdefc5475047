"""The table of figures in README.md, made from what the code says of each."""

import re
from collections.abc import Iterator
from pathlib import Path

from autoscaler.simulation.figures import FIGURES
from autoscaler.simulation.ranking import COMPARED

HEADER = ["| figure | unit | better | meaning |", "|---|---|---|---|"]


def table() -> str:
    """Return the table in Markdown, in the order of the row."""
    figures = {**FIGURES, **COMPARED}.items()
    rows = [f"| `{key}` | {figure.unit} | {figure.better} | {figure.meaning} |" for key, figure in figures]
    return "\n".join([*HEADER, *rows])


def tables_in(document: Path) -> Iterator[str]:
    """Yield every table of figures that stands in a document."""
    pattern = re.compile(rf"^{re.escape(HEADER[0])}\n(?:\|.*\n)+", re.MULTILINE)
    yield from (match[0].rstrip("\n") for match in pattern.finditer(document.read_text()))
