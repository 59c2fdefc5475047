"""The README's table of figures is what the code says of them."""

import os
import re
from pathlib import Path

from autoscaler.simulation.figures import FIGURES
from tests.simulation.figure_table import table, tables_in

README = Path(__file__).parents[2] / "README.md"

# How a name says its unit.
UNITS = {
    "_s": "seconds",
    "_percent": "percent",
    "_gib_per_day": "GiB per day",
    "changes_per_day": "1 per day",
    "_core_hours_used": "core hours",
    "_core_hours_lost": "core hours",
    "_ratio": "ratio, ",
    "spare_workers_mean": "workers",
}


def test_the_readme_has_every_figure_with_its_unit_and_meaning() -> None:
    (shown,) = tables_in(README)
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        README.write_text(README.read_text().replace(shown, table()))
        (shown,) = tables_in(README)
    assert shown == table()


def test_a_table_is_found_in_a_document_as_it_was_made(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text(f"# Figures\n\n{table()}\n\nThat was all.\n")
    assert list(tables_in(document)) == [table()]


def test_a_meaning_is_a_sentence_that_fits_a_table() -> None:
    assert [key for key, figure in FIGURES.items() if not re.fullmatch(r"[A-Z][^|\n]*\.", figure.meaning)] == []


def test_the_unit_is_the_one_that_the_name_carries() -> None:
    carried = {key: unit for key in FIGURES for suffix, unit in UNITS.items() if key.endswith(suffix)}
    assert [key for key, unit in carried.items() if not FIGURES[key].unit.startswith(unit)] == []
