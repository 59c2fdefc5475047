"""`autoscaler model`: what is on the shelf, and which model acts."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from autoscaler.cli.model import model
from autoscaler.learning.shelf import Shelf, versions_here
from autoscaler.service.models import shelf_beside
from tests.cli.site import Site, invoke
from tests.cli.test_help import check_golden
from tests.learning.models import NOW, a_draft, a_forest

COMMANDS = sorted(model.commands)


@pytest.fixture
def shelf(site: Site) -> Shelf:
    """Two models, of which none acts."""
    shelf = shelf_beside(site.store)
    for _ in range(2):
        shelf.add(a_draft(versions=versions_here()), a_forest(), NOW)
    return shelf


def run(site: Site, *words: object) -> str:
    """A subcommand that goes well."""
    found = invoke("model", *words, "--config", site.config)
    assert found.exit_code == 0, found.stderr
    return found.stdout


def values(site: Site, *words: object) -> Any:
    return json.loads(run(site, *words, "--format", "json"))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_subcommand_is_the_golden_one(command: str) -> None:
    check_golden(f"model-{command}", invoke("model", command, "--help").output)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_subcommand_are_understood(command: str) -> None:
    lines = [line.strip() for line in invoke("model", command, "--help").output.splitlines()]
    examples = [line.partition(" | ")[0].split()[2:] for line in lines if line.startswith("autoscaler model ")]
    assert examples
    for name, *arguments in examples:
        model.commands[name].make_context(name, arguments, parent=click.Context(model, info_name="model"))


def test_a_site_without_models_is_told_how_to_get_one(site: Site) -> None:
    assert run(site, "list") == "there is no model yet: autoscaler train makes one\n"
    assert values(site, "list") == {"acting": None, "models": [], "refused": [], "excluded": []}


def test_the_list_has_every_model_and_which_one_acts(site: Site, shelf: Shelf) -> None:
    shelf.promote(2)
    listed = values(site, "list")
    assert (listed["acting"], [each["number"] for each in listed["models"]]) == (2, [1, 2])
    assert "better than threshold" in run(site, "list")


def test_the_list_says_why_a_model_is_refused(site: Site, shelf: Shelf) -> None:
    (shelf.folder / "0001" / "arrays.npz").unlink()
    listed = values(site, "list")
    assert [each["number"] for each in listed["refused"]] == [1]
    assert "is missing, or was altered since it was made" in listed["refused"][0]["why"]
    assert "refused: " in run(site, "list")


def test_show_says_what_was_assumed_in_the_backtest_and_names_no_feature_that_does_not_matter(site: Site) -> None:
    draft = a_draft(versions=versions_here(), importance={"load": 0.0, "hour": -0.1})
    tested = msgspec.structs.replace(draft.backtest, notes=("a batch job uses 831 MiB there",))
    shelf_beside(site.store).add(msgspec.structs.replace(draft, backtest=tested), a_forest(), NOW)
    text = run(site, "show", 1)
    assert "  a batch job uses 831 MiB there\nlearned: better than threshold\n" in text
    assert "what matters most: nothing that it looks at\n" in text


def test_show_has_the_whole_card(site: Site, shelf: Shelf) -> None:
    card = values(site, "show", 1)
    assert card["sha256"] == shelf.read(1).card.sha256
    assert card["data"]["minutes"] == 129_600
    text = run(site, "show", 1)
    for told in ("129600 minutes, 60 of them", "5.0% of the arrivals", "scikit-learn", card["sha256"], "load +50%"):
        assert told in text


@pytest.mark.usefixtures("shelf")
def test_promote_lets_a_model_act(site: Site) -> None:
    assert "model 1 acts from the next cycle on" in run(site, "promote", 1)
    assert values(site, "list")["acting"] == 1


@pytest.mark.usefixtures("shelf")
def test_rollback_lets_the_one_before_act(site: Site) -> None:
    run(site, "promote", 1)
    run(site, "promote", 2)
    assert run(site, "rollback").startswith("model 1, made ")
    assert values(site, "list")["acting"] == 1


@pytest.mark.usefixtures("shelf")
def test_reset_lets_none_act(site: Site) -> None:
    run(site, "promote", 1)
    run(site, "reset")
    assert values(site, "list")["acting"] is None


def test_exclude_is_local_time_and_is_listed(site: Site) -> None:
    run(site, "exclude", "2026-12-24", "2027-01-07T12:30")
    (excluded,) = values(site, "list")["excluded"]
    begin, end = (datetime.fromisoformat(excluded[key]) for key in ("begin", "end"))
    assert begin == datetime(2026, 12, 24).astimezone()
    assert end == datetime(2027, 1, 7, 12, 30).astimezone()
    assert "no model learns from 2026-12-24 00:00:00" in run(site, "list")


@pytest.mark.parametrize(
    "words",
    [
        ["exclude", "2026-12-24", "2026-12-24"],
        ["exclude", "christmas", "2026-12-24"],
        ["exclude", "2026-12-24"],
        ["show"],
        ["show", "0"],
        ["promote", "seven"],
        ["unknown"],
    ],
)
def test_what_is_not_understood_is_exit_code_2(site: Site, words: list[str]) -> None:
    assert invoke("model", *words, "--config", site.config).exit_code == 2


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("command", ["show", "promote"])
def test_a_model_that_is_not_there_is_exit_code_4_and_a_sentence(site: Site, command: str) -> None:
    found = invoke("model", command, 9, "--config", site.config)
    assert found.exit_code == 4
    assert "there is no model 9: autoscaler model list shows those there are" in found.stderr


def test_a_model_from_elsewhere_is_exit_code_4_and_does_not_act(site: Site, shelf: Shelf, tmp_path: Path) -> None:
    other = Shelf(tmp_path / "elsewhere")
    for _ in range(3):
        other.add(a_draft(versions=versions_here()), a_forest(), NOW)
    shutil.copytree(other.folder / "0003", shelf.folder / "0003")
    found = invoke("model", "promote", 3, "--config", site.config)
    assert found.exit_code == 4
    assert "card.json: was not made here, or was altered since" in found.stderr
    assert shelf.trail().acting is None


def test_a_shelf_that_cannot_be_written_is_exit_code_4(site: Site) -> None:
    (site.folder / "models").write_text("a file")
    for words in (["reset"], ["list"], ["exclude", "2026-12-24", "2027-01-07"]):
        found = invoke("model", *words, "--config", site.config)
        assert found.exit_code == 4
        assert "check the folder of models" in found.stderr


def test_run_takes_the_acting_model_and_warns_of_one_that_is_refused(
    site: Site, shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    site.replace("name: threshold,", "name: learned,")
    shelf.promote(1)
    assert site.run().exit_code == 0
    assert "model 1 acts, made 2026-03-02T03:30:00+00:00" in caplog.text
    (shelf.folder / "0001" / "arrays.npz").write_bytes(b"")
    assert site.run().exit_code == 0
    assert "the policy goes without a model: " in caplog.text


def test_a_dry_run_takes_the_acting_model(site: Site, shelf: Shelf) -> None:
    site.replace("name: threshold,", "name: learned,")

    def reason() -> str:
        return json.loads(site.invoke("dry-run", "--format", "json").stdout)["demand"]["reason"]

    assert "no forecast" not in reason()
    shelf.promote(1)
    assert "no forecast: too little of the last hours' load is known" in reason()
