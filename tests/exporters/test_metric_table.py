"""The README's table of metrics is what the exporters expose."""

import os
import re
from pathlib import Path

from tests.exporters.metric_table import rows, table, tables_in

TOP = Path(__file__).parents[2]
README = TOP / "README.md"

# The name that a metric is made with, where it stands in the source as it is.
MADE = re.compile(r'(Gauge|Counter|Info)MetricFamily\(\s*"([a-z_]+)"')
SUFFIX = {"Gauge": "", "Counter": "_total", "Info": "_info"}


def test_the_readme_has_every_metric_with_its_type_unit_and_meaning() -> None:
    (shown,) = tables_in(README)
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        README.write_text(README.read_text().replace(shown, table()))
        (shown,) = tables_in(README)
    assert shown == table()


def test_a_help_text_is_a_sentence_that_fits_a_table() -> None:
    assert [row.name for row in rows().values() if not row.meaning.endswith(".") or "|" in row.meaning] == []


def test_every_metric_that_is_made_is_in_a_golden_exposition_and_so_in_the_table() -> None:
    sources = [path.read_text() for path in (TOP / "exporters").rglob("*.py")]
    made = {name + SUFFIX[kind] for source in sources for kind, name in MADE.findall(source)}
    assert made - rows().keys() == {"vaf_exporter_build_info"}  # it is in the text above the table
