"""Policies come in by entry points: a site's own as ours."""

from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.config.policies import PolicyError, make_policy, policy_names, policy_text
from policies.hold import Hold
from policies.threshold import Threshold

MODULE = '''
from dataclasses import dataclass
from datetime import timedelta
from autoscaler.model import Demand

@dataclass(frozen=True)
class Own:
    """Want what the site wants."""
    signals = ()
    history = timedelta(0)
    levels: tuple[int, ...] = ()
    wait: timedelta = timedelta(0)

    def decide(self, window):
        return Demand(1, "own")

def decide(window):
    return Demand(1, "no class")
'''
ENTRY_POINTS = """
[vaf_autoscaler.policies]
own = site_policies:Own
function = site_policies:decide
lost = site_policies_that_are_not_there:Own
"""


@pytest.fixture
def _site_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package of the site, with policies of its own."""
    (tmp_path / "site_policies.py").write_text(MODULE)
    information = tmp_path / "site_policies-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: site-policies\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_site_package")
def test_a_sites_own_policy_is_made_by_its_name() -> None:
    assert "own" in policy_names()
    assert type(make_policy("own", {"wait": "5m"})).__name__ == "Own"


@pytest.mark.usefixtures("_site_package")
def test_a_policy_that_is_no_dataclass_is_refused() -> None:
    with pytest.raises(PolicyError, match="policy 'function' is not a dataclass"):
        make_policy("function", {})


@pytest.mark.usefixtures("_site_package")
def test_a_policy_that_cannot_be_imported_is_refused_with_the_reason() -> None:
    with pytest.raises(PolicyError, match="policy 'lost' cannot be loaded: ModuleNotFoundError: No module named"):
        make_policy("lost", {})


def test_a_policy_nobody_installed_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(PolicyError, match=r"no policy is called 'oracle'; installed are .*hold.*static.*threshold"):
        make_policy("oracle", {})


def test_parameters_have_the_types_of_the_policys_fields() -> None:
    assert make_policy("threshold", {"idle": "2m", "grow_running": 2}) == Threshold(
        grow_running=2, idle=timedelta(minutes=2)
    )


@pytest.mark.parametrize(
    ("parameters", "key", "reason"),
    [
        ({"idle": "soon"}, "idle", "'soon' is not a duration"),
        ({"workers_per_session": "8"}, "workers_per_session", "'8' is not a whole number"),
        ({"grow_running": True}, "grow_running", "is not a number"),
        ({"signals": []}, "signals", "unknown key; policy threshold has workers_per_session, grow_queued"),
        ({"idle": "0s"}, "name", "idle must be longer than 0s"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_key(parameters: dict[str, object], key: str, reason: str) -> None:
    with pytest.raises(PolicyError, match=reason) as caught:
        make_policy("threshold", parameters)
    assert caught.value.key == key


def test_a_policy_is_shown_in_the_words_of_the_configuration() -> None:
    assert policy_text("threshold", Threshold(grow_running=1.5, idle=timedelta(minutes=90))) == (
        "threshold (workers_per_session: 8, grow_queued: 0, grow_running: 1.5, shrink_load: 0, idle: 1h30m)"
    )


def test_a_policy_without_parameters_is_shown_by_its_name() -> None:
    assert policy_text("hold", Hold()) == "hold"
