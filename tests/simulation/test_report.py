"""The page: whole, by itself, the same each time, and text stays text."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest

from autoscaler.simulation.figures import FIGURES, Figure, figures
from autoscaler.simulation.report.page import html
from autoscaler.simulation.report.values import Report, best_cost, figure_text
from tests.simulation.made_runs import a_scenario
from tests.simulation.runs import a_move, a_report, a_row, a_run, an_empty_run

EVIL = "<script>alert('\"&')</script><!--"
VOID = {"input", "meta", "wbr"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> list["Element"]:
        mine = [self] if self.name == name else []
        return mine + [found for child in self.children for found in child.all(name)]

    def whole_text(self) -> str:
        return self.text + "".join(child.whole_text() for child in self.children)


class Tree(HTMLParser):
    """An element is closed by its own end tag, and nothing else is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.top = Element("", {})
        self.open = [self.top]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].text += data


def tree(report: Report) -> Element:
    parser = Tree()
    parser.feed(html(report))
    parser.close()
    assert parser.open == [parser.top]
    return parser.top


def cells(page: Element, table: str = "sortable") -> list[list[str]]:
    (found,) = (element for element in page.all("table") if element.attributes["class"] == table)
    return [[cell.whole_text() for cell in row.all("td")] for row in found.all("tbody")[0].all("tr")]


def data(page: Element, name: str) -> Any:
    (script,) = (element for element in page.all("script") if element.attributes.get("id") == name)
    return json.loads(script.text)


def test_the_page_is_one_whole_document() -> None:
    page = tree(a_report(a_run()))
    assert [element.name for element in page.children] == ["html"]
    assert page.all("title")[0].text == page.all("h1")[0].text == "A day"


def test_scenario_and_workload_are_told() -> None:
    lines = [item.text for item in tree(a_report(a_run())).all("li")]
    assert lines == ["3 hosts, 24 cores", "3 of 120 rows skipped: no run time"]


def test_nothing_is_loaded_from_elsewhere_and_the_browser_is_told_so() -> None:
    page = tree(a_report(a_run()))
    elements = [element for name in ("script", "link", "img", "iframe", "a") for element in page.all(name)]
    assert [element for element in elements if element.attributes.keys() & {"src", "href"}] == []
    assert "url(" not in page.all("style")[0].text
    assert "@import" not in page.all("style")[0].text
    (policy,) = (meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_plotlys_button_that_sends_a_plot_to_its_makers_is_switched_off() -> None:
    assert "showSendToCloud: false" in tree(a_report(a_run())).all("script")[-1].text


def test_plotly_is_in_it_once_and_each_plot_has_its_place() -> None:
    page = tree(a_report(a_run()))
    assert sum("plotly.js v" in script.text[:200] for script in page.all("script")) == 1
    places = [div.attributes["id"] for div in page.all("div") if "id" in div.attributes]
    assert places == [plot["name"] for plot in data(page, "plots")]


def test_the_table_has_every_figure_of_every_row() -> None:
    page = tree(a_report(rows=(a_row("a"), a_row("b", regret_ratio=None, verdict="worse"))))
    heads = [head.all("button")[0].text for head in page.all("thead")[0].all("th")]
    assert len(heads) == 7
    assert cells(page) == [
        ["a", "2.25 ★", "+125%", "-", "88.5", "25.0%", "0.5"],
        ["b", "2.25 ★", "-", "worse", "88.5", "25.0%", "0.5"],
    ]


def test_a_ratio_is_shown_in_percent_and_sorted_by_what_it_is() -> None:
    page = tree(a_report(rows=({"policy": "a", "regret_ratio": -0.0512, "missed_arrivals_ratio": 0.2519},)))
    row = page.all("tbody")[0].all("td")
    assert [cell.text for cell in row] == ["a", "-5.1%", "25.2%"]
    assert [cell.attributes["data-value"] for cell in row] == ["a", "-0.0512", "0.2519"]
    assert [unit.text for unit in page.all("thead")[0].all("span")] == ["percent", "percent"]


def test_what_is_decided_on_comes_first_and_the_others_stay_in_their_order() -> None:
    heads = tree(a_report(a_run(), rows=(dict.fromkeys(FIGURES, 1.0),))).all("thead")[0].all("button")
    shown = [head.text.replace("\u200b", "") for head in heads]
    assert shown[:3] == ["policy", "cost", "regret_ratio"]
    assert shown[3:] == [key for key in FIGURES if key not in shown[:3]]


def test_rows_as_they_are_made_of_runs_are_shown_with_all_figures() -> None:
    run = a_run(moves=())
    page = tree(a_report(run, rows=(figures(run, a_scenario()),), figures=FIGURES))
    assert [len(row) for row in cells(page)] == [len(FIGURES)]
    assert [figure for figure, _, _ in cells(page, "plain")] == list(FIGURES)


def test_a_heading_says_unit_and_meaning() -> None:
    (cost,) = (
        head for head in tree(a_report(a_run())).all("th") if head.attributes.get("title", "").startswith("Waiting at")
    )
    assert cost.whole_text() == "costcore hours"


def test_the_meanings_are_also_there_on_paper() -> None:
    meanings = cells(tree(a_report(rows=({"policy": "a", "cost": 1.0},))), "plain")
    assert meanings == [
        ["policy", "", "The policy, by its label."],
        ["cost", "core hours", "Waiting at the scenario's price, plus what the batch jobs lost."],
    ]


@pytest.mark.parametrize(
    ("verdicts", "green"),
    [
        ((None, "better"), ["b"]),
        ((None, "cannot tell"), []),
        (("worse", None), ["b"]),
        (("cannot tell", None), []),
    ],
)
def test_the_lowest_cost_has_a_star_and_is_green_where_it_is_more_than_luck(
    verdicts: tuple[str | None, str | None], green: list[str]
) -> None:
    a, b = verdicts
    rows = (a_row("a", cost=3.0, verdict=a), a_row("b", cost=2.0, verdict=b), a_row("oracle", cost=1.0, verdict=None))
    page = tree(a_report(rows=rows, bound="oracle"))
    assert [row[0] for row in cells(page) if row[1].endswith("★")] == ["b"]
    best = [row.all("td")[0].text for row in page.all("tr") if row.attributes.get("class") == "best"]
    assert best == green
    assert any("★: the lowest cost, oracle left aside." in note.text for note in page.all("p"))


def test_a_single_policy_is_no_winner() -> None:
    page = tree(a_report(rows=(a_row("a", verdict=None),)))
    assert [row for row in page.all("tr") if row.attributes.get("class") == "best"] == []


def test_the_policy_that_knows_the_future_is_never_the_best() -> None:
    report = a_report(rows=(a_row("oracle", cost=1.0), a_row("b", cost=2.0)), bound="oracle")
    assert best_cost(report) == 2.0


def test_without_a_known_cost_nothing_is_marked() -> None:
    page = tree(a_report(rows=(a_row(cost=None), a_row(cost=float("nan")))))
    assert [row for row in page.all("tr") if row.attributes.get("class") == "best"] == []


def test_cells_are_sorted_by_the_exact_value_and_what_is_missing_has_none() -> None:
    page = tree(a_report(rows=({"policy": "a", "cost": 1234.56789, "regret_ratio": None},)))
    assert [cell.attributes["data-value"] for cell in page.all("tbody")[0].all("td")] == ["a", "1234.56789", ""]


def test_moves_have_a_place_to_be_listed_in_and_none_when_there_are_none() -> None:
    page = tree(a_report(a_run(), a_run("hold", moves=())))
    one, none = (each for each in page.all("details") if each.attributes.get("class") == "moves")
    assert [each.all("summary")[0].text for each in (one, none)] == ["threshold: 1 move", "hold: 0 moves"]
    assert [len(each.all("table")) for each in (one, none)] == [1, 0]
    assert len(one.all("th")) == 6


def test_every_move_of_every_run_is_in_the_page_and_a_reason_is_in_it_once() -> None:
    many = tuple(a_move(float(second)) for second in range(1000))
    page = tree(a_report(a_run(moves=many), a_run("hold", moves=(*many[:5], a_move(reason="idle")))))
    found = data(page, "moves")
    assert [(run["policy"], len(run["at_s"]), len(run["reason"])) for run in found["runs"]] == [
        ("threshold", 1000, 1000),
        ("hold", 6, 6),
    ]
    assert (found["hosts"], found["reasons"]) == (["host-1"], ["1 queued session", "idle"])


@pytest.mark.parametrize("runs", [(), (an_empty_run(),), (an_empty_run(), a_run())])
def test_a_page_is_made_also_of_runs_in_which_nothing_happened(runs: tuple[Any, ...]) -> None:
    page = tree(a_report(*runs))
    assert len(cells(page)) == len(runs)


def test_names_and_reasons_are_text_wherever_they_stand() -> None:
    run = a_run(EVIL, moves=(a_move(host=EVIL, reason=EVIL),))
    row = {EVIL: EVIL, **a_row(EVIL)}
    told = {"title": EVIL, "scenario": (EVIL,), "workload": (EVIL,), "figures": {EVIL: Figure(EVIL, "", EVIL)}}
    page, harmless = tree(a_report(run, rows=(row,), **told)), tree(a_report(a_run()))
    assert len(page.all("script")) == len(harmless.all("script")) == 4
    assert page.all("h1")[0].text == page.all("li")[0].text == cells(page)[0][0] == EVIL
    assert data(page, "moves")["hosts"] == data(page, "moves")["reasons"] == [EVIL]
    assert data(page, "plots")[0]["data"][0]["legendgroup"] == EVIL


def test_the_same_report_gives_the_same_bytes() -> None:
    assert html(a_report(a_run(), a_run("hold"))) == html(a_report(a_run(), a_run("hold")))


def test_the_bytes_do_not_hang_on_the_process_or_its_time_zone() -> None:
    words = "import hashlib; from tests.simulation.runs import *; from autoscaler.simulation.report.page import html; "
    words += "print(hashlib.sha256(html(a_report(a_run('b'), a_run('a'))).encode()).hexdigest())"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", words],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Pacific/Auckland"))
    }
    assert len(hashes) == 1
    assert re.fullmatch(r"[0-9a-f]{64}\n", hashes.pop())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (float("nan"), "-"),
        (float("inf"), "inf"),
        (0.0, "0"),
        (0.123456, "0.1235"),
        (999.96, "1000"),
        (123456.7, "123457"),
        (12345678, "12345678"),
        ("cannot tell", "cannot tell"),
        ((0.5, 1.25), "0.5 to 1.25"),
    ],
)
def test_a_figure_is_shown_in_few_digits(value: Any, text: str) -> None:
    assert figure_text(value) == text
