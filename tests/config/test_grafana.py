"""The section ``grafana``: what it says, and what is refused in words."""

from pathlib import Path

import pytest

from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.config.load import ConfigError, load
from tests.config.test_tuning import written


def test_files_lie_beside_the_configuration(tmp_path: Path) -> None:
    text = "\ngrafana: {url: 'https://grafana.example.org/g/', token_file: token, ca_file: /etc/ca.pem}\n"
    assert load(written(tmp_path, text)).config.grafana == GrafanaSection(
        url="https://grafana.example.org/g/", token_file=tmp_path / "token", ca_file=Path("/etc/ca.pem")
    )


def test_without_it_nobody_is_told(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")).config.grafana.url is None


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{url: http://g}", "grafana: token_file is missing: Grafana takes annotations of a service account only"),
        ("{token_file: token}", "grafana: url is missing"),
        ("{url: g:3000, token_file: token}", "grafana.url: 'g:3000' is not a URL such as"),
        ("{url: http://root:secret@g, token_file: t}", "grafana: a URL with a password would be in the log"),
        ("{url: http://g, token: glsa_x, token_file: t}", "grafana.token: unknown key"),
    ],
)
def test_a_mistake_is_named_in_words(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, f"\ngrafana: {section}\n"))
    assert words in str(raised.value)
    assert "secret" not in str(raised.value)
