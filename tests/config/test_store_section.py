"""The section ``store``: where PostgreSQL is, with the password in a file and nowhere else."""

from pathlib import Path

import pytest

from autoscaler.config.load import ConfigError, load
from autoscaler.config.schema import Config

REST = """
source: {kind: prometheus, url: "http://127.0.0.1:9090/"}
policy: {name: static, workers: 4}
hosts:
  - name: host-1
    uri: test:///default
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
    wn: {domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "autoscaler.yaml"


def loaded(file: Path, section: str) -> Config:
    file.write_text(f"store: {section}\n{REST}")
    return load(file).config


def test_without_it_decisions_are_in_a_file(file: Path) -> None:
    assert loaded(file, "{}").store.url is None


def test_names_a_database_and_a_file_beside_the_configuration(file: Path) -> None:
    url = "postgresql://autoscaler@db.example.org/autoscaler?sslmode=verify-full"
    section = loaded(file, f'{{url: "{url}", password_file: secrets/store}}').store
    assert (section.url, section.password_file) == (url, file.parent / "secrets/store")


@pytest.mark.parametrize(
    "url",
    ["postgresql:///autoscaler", "postgresql://a.example,b.example:5433/vaf", "postgresql://vaf@[::1]:5432/vaf"],
)
def test_takes_what_libpq_takes(file: Path, url: str) -> None:
    assert loaded(file, f'{{url: "{url}"}}').store.url == url


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('{url: "mysql://db/vaf"}', "store.url: 'mysql://db/vaf' is not a URL such as postgresql://"),
        ('{url: "postgresql://db"}', "is not a URL such as postgresql://"),
        ('{url: "postgresql://vaf:hush@db/vaf"}', "a password does not belong into the URL: store.password_file"),
        ('{url: "postgresql://db/vaf?password=hush"}', "a password does not belong into the URL"),
        ("{password_file: here}", "password_file goes with a url"),
        ("{path: here}", "store.path"),
    ],
)
def test_a_mistake_is_named_without_a_password(file: Path, section: str, problem: str) -> None:
    with pytest.raises(ConfigError) as told:
        loaded(file, section)
    assert problem in str(told.value)
    assert "hush" not in str(told.value)
