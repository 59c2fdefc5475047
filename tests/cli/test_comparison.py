"""The comparison of policies in a terminal and for scripts."""

import io
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autoscaler.cli.comparison import COLUMNS, comparison_json, comparison_table
from autoscaler.simulation.figures import FIGURES
from tests.simulation.runs import a_report, a_row, a_run

GOLDEN = Path(__file__).parents[1] / "golden" / "comparison.txt"
WIDTH = 120


def full_row(policy: str, size: float, verdict: str = "cannot tell") -> dict[str, Any]:
    """Every figure of the table, all as large as that."""
    return {"policy": policy} | {column.key: size for column in COLUMNS} | {"verdict": verdict}


def written(*rows: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, highlight=False, markup=False, emoji=False)
    console.print(comparison_table(rows))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def check_golden(text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), f"if this is meant: UPDATE_GOLDEN=1 pytest {Path(__file__).name}"


def test_the_table_is_the_golden_one() -> None:
    day = {
        "proof_wait_p50_s": 0.0,
        "proof_wait_p95_s": 88.5,
        "proof_wait_p99_s": 240.25,
        "waiting_over_10s_ratio": 0.0714,
        "missed_arrivals_ratio": 0.105,
        "spare_workers_mean": 3.71,
        "wn_core_hours_lost": 1234.5,
        "wn_cpu_efficiency_ratio": 0.934,
        "changes_per_day": 42.0,
        "moved_gib_per_day": 273.0,
        "swapped_gib_per_day": 0.0,
        "swap_in_gib_per_day": 0.0,
    }
    check_golden(
        written(
            {"policy": "oracle"} | day | {"cost": 1300.0, "regret_ratio": 0.0, "verdict": None},
            {"policy": "threshold"} | day | {"cost": 1450.5, "regret_ratio": 0.1158, "verdict": "better"},
            full_row("target_tracking, tuned on other weeks", 0.5),
            {"policy": "static, 24 workers"} | day | {"cost": None, "regret_ratio": math.nan, "verdict": "worse"},
        )
    )


def test_every_column_is_a_figure() -> None:
    assert [column.key for column in COLUMNS if column.key not in FIGURES] == []


@pytest.mark.parametrize("size", [0.0, 9.99, 99.96, 12345.6, 123456.7, -0.5])
def test_figures_as_they_come_are_whole_in_120_columns(size: float) -> None:
    ratios = {column.key: min(size, 1.0) for column in COLUMNS if column.key.endswith("_ratio")}
    text = written(full_row("target_tracking, tuned on other weeks", size) | ratios, full_row("hold", 0.0))
    assert max(map(len, text.splitlines())) <= WIDTH
    for column in COLUMNS:
        assert column.text(ratios.get(column.key, size)) in text


def test_figures_beyond_all_measure_take_more_lines_and_lose_no_digit() -> None:
    text = written(full_row("hold", 1234567.8))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    assert "".join(text.split()).count("8") >= len(COLUMNS)


def test_a_long_label_is_shown_whole_over_several_lines() -> None:
    label = "a" * 30 + "z" * 30
    # The heads and the other figures have no z.
    assert written(full_row(label, 1.0)).count("z") == 30


def test_a_figure_that_no_row_has_takes_no_room() -> None:
    text = written({"policy": "hold", "cost": 2.0})
    assert "cost" in text
    assert "verdict" not in text
    assert "regret" not in text


def test_no_rows_make_an_empty_table() -> None:
    assert "policy" in written()


@pytest.mark.parametrize("label", ["[/oops]", "[red]x", ":warning:", "<b>"])
def test_a_label_is_shown_as_it_is(label: str) -> None:
    assert label in written(full_row(label, 1.0))


def test_json_has_the_rows_with_all_figures_and_what_they_were_made_from() -> None:
    values = comparison_json(a_report(a_run(), bound="oracle"))
    assert values["rows"] == [a_row(cost=1.0)]
    assert values["figures"]["cost"]["unit"] == "core hours"
    assert (values["scenario"], values["workload"]) == (["3 hosts, 24 cores"], ["3 of 120 rows skipped: no run time"])
    assert (values["title"], values["start"], values["bound"]) == ("A day", "2026-03-02T08:00:00+00:00", "oracle")


def test_json_says_missing_for_what_is_not_a_finite_number() -> None:
    report = a_report(rows=(a_row(cost=math.nan, regret_ratio=math.inf),))
    (row,) = json.loads(json.dumps(comparison_json(report), allow_nan=False))["rows"]
    assert (row["cost"], row["regret_ratio"]) == (None, None)
