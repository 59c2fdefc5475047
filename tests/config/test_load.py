"""A configuration file loads, or every mistake in it is named by file, line, key and reason."""

from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.config.load import ConfigError, load
from autoscaler.model import Facility, GuardLimits
from autoscaler.testing import a_host
from policies.static import Static
from tests.config.texts import MINIMAL, loaded, problems


def test_a_minimal_file_gives_the_facility_the_policy_and_the_defaults(file: Path) -> None:
    config, policy = loaded(file, MINIMAL).config, loaded(file, MINIMAL).policy
    assert config.facility() == Facility((a_host("host-1"),))
    assert policy == Static(4)
    assert config.guards.limits() == GuardLimits()
    assert config.controller.interval == timedelta(seconds=15)
    assert config.controller.store == Path("/var/lib/vaf-autoscaler/decisions.sqlite")


def test_a_relative_store_lies_beside_the_file(file: Path) -> None:
    config = loaded(file, MINIMAL + "controller: {store: state/decisions.sqlite}\n").config
    assert config.controller.store == file.parent / "state" / "decisions.sqlite"


def test_a_relative_store_lies_beside_a_relative_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(MINIMAL + "controller: {store: decisions.sqlite}\n", encoding="utf-8")
    monkeypatch.chdir(file.parent)
    assert load(Path(file.name)).config.controller.store == file.parent / "decisions.sqlite"


def test_an_absolute_store_stays_where_it_is(file: Path) -> None:
    config = loaded(file, MINIMAL + "controller: {store: /srv/decisions.sqlite}\n").config
    assert config.controller.store == Path("/srv/decisions.sqlite")


MISTAKES = {
    "an unknown key of the file": (MINIMAL + "polcy: 1\n", "21: polcy: unknown key (did you mean 'policy'?)"),
    "an unknown key like no other": (MINIMAL + "zzz: 1\n", "21: zzz: unknown key"),
    "a missing section": (MINIMAL.partition("hosts:")[0], "1: hosts: is missing"),
    "a duration without unit": (
        MINIMAL + "controller:\n  interval: 15\n",
        "22: controller.interval: 15 has no unit: write a duration such as '30s', '5m', '1h30m' or '7d'",
    ),
    "a negative duration": (
        MINIMAL + "guards: {shrink_cooldown: -5m}\n",
        "21: guards.shrink_cooldown: '-5m' is negative",
    ),
    "an interval of nothing": (
        MINIMAL + "controller: {interval: 0s}\n",
        "21: controller.interval: must be longer than 0s",
    ),
    "an interval of ages": (
        MINIMAL + "controller: {interval: 1000000d}\n",
        "21: controller.interval: '1000000d' is longer than 366 days",
    ),
    "a section that is no mapping": (MINIMAL + "controller: 5\n", "21: controller: 5 is not a mapping"),
    "a key twice": (MINIMAL + "policy: {name: hold}\n", '21: not valid YAML: found duplicate key "policy"'),
    "a key that is no text": (MINIMAL + "5: 1\n", "21: [5]: 5 is a key that is not a text"),
    "no YAML": (MINIMAL + "x: [1\n", "22: not valid YAML: "),
    "a tab": ("\tsource: 1\n", "1: not valid YAML: found character '\\t' that cannot start any token"),
    "two documents": (MINIMAL + "---\na: 1\n", "21: not valid YAML: but found another document"),
    "a value that contradicts its tag": (MINIMAL + "controller: !!bool maybe\n", "not valid YAML: "),
    "a date there is not": (MINIMAL + "controller: {interval: 2026-99-99}\n", "not valid YAML: month must be in 1..12"),
    "nesting without end": ("[" * 600, "not valid YAML: "),
    "nothing": ("", "is empty or not a mapping of sections"),
    "only comments": ("# later\n", "is empty or not a mapping of sections"),
    "a list": ("- a\n", "is empty or not a mapping of sections"),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem.removeprefix(": "))


def test_all_mistakes_are_named_at_once(file: Path) -> None:
    text = MINIMAL.replace("573 MiB", "573").replace("workers_max: 8", "workers_max: many") + "zzz: 1\n"
    assert [problem.partition(" ")[0] for problem in problems(file, text)] == ["11:", "16:", "21:"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes("# für später\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not a UTF-8 text file"):
        load(file)


def test_the_error_has_no_cause_to_print(file: Path) -> None:
    """An administrator reads sentences, not a traceback of validators."""
    file.write_text(MINIMAL + "zzz: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.__suppress_context__
