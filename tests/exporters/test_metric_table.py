"""The README's tables of metrics are what the exporters and the controller expose."""

import os
import re
from pathlib import Path

import pytest

from tests.exporters.exposition import GOLDEN
from tests.exporters.metric_table import rows, table, tables_in

TOP = Path(__file__).parents[2]
README = TOP / "README.md"
OF_CONTROLLER = TOP / "tests" / "service" / "golden"

# The name that a metric is made with, where it stands in the source as it is.
MADE = re.compile(r'(Gauge|Counter|Info)MetricFamily\(\s*"([a-z_]+)"')
SUFFIX = {"Gauge": "", "Counter": "_total", "Info": "_info"}


@pytest.mark.parametrize(("number", "folder"), [(0, GOLDEN), (1, OF_CONTROLLER)], ids=["exporters", "controller"])
def test_the_readme_has_every_metric_with_its_type_unit_and_meaning(number: int, folder: Path) -> None:
    shown = list(tables_in(README))[number]
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        README.write_text(README.read_text().replace(shown, table(folder)))
        shown = list(tables_in(README))[number]
    assert shown == table(folder)


@pytest.mark.parametrize("folder", [GOLDEN, OF_CONTROLLER], ids=["exporters", "controller"])
def test_a_help_text_is_a_sentence_that_fits_a_table(folder: Path) -> None:
    texts = [row.meaning for row in rows(folder).values()]
    assert [text for text in texts if not text.endswith(".") or "|" in text] == []


def test_every_metric_that_is_made_is_in_a_golden_exposition_and_so_in_the_table() -> None:
    sources = [path.read_text() for path in (TOP / "exporters").rglob("*.py")]
    made = {name + SUFFIX[kind] for source in sources for kind, name in MADE.findall(source)}
    assert made - rows().keys() == {"vaf_exporter_build_info"}  # it is in the text above the table
