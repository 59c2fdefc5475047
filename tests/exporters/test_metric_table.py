"""The README's table of metrics is what the exporters expose."""

import os
from pathlib import Path

from tests.exporters.metric_table import rows, table, tables_in

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_every_metric_with_its_type_unit_and_meaning() -> None:
    (shown,) = tables_in(README)
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        README.write_text(README.read_text().replace(shown, table()))
        (shown,) = tables_in(README)
    assert shown == table()


def test_a_help_text_is_a_sentence_that_fits_a_table() -> None:
    assert [row.name for row in rows().values() if not row.meaning.endswith(".") or "|" in row.meaning] == []
