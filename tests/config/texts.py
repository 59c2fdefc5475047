"""Configuration files of these tests, whole and with one thing changed."""

from pathlib import Path

import pytest

from autoscaler.config.load import ConfigError, Loaded, load

MINIMAL = """\
source:
  kind: prometheus
  url: http://127.0.0.1:9090/
policy:
  name: static
  workers: 4
hosts:
  - name: host-1
    uri: test:///default
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    proof:
      domain: proof
      dormant_memory: 572 MiB
      memory_per_worker: 792 MiB
      workers_max: 8
    wn:
      domain: wn
      memory_floor: 572 MiB
      memory_max: 6911 MiB
"""


SECOND_HOST = """\
  - name: host-2
    uri: test:///other
    memory_total: 8056 MiB
    memory_reserve: 573 MiB
    proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
    wn: {domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}
"""


TWO_HOSTS = """\
source: {kind: prometheus, url: "http://127.0.0.1:9090/"}
policy: {name: static, workers: 4}
host_defaults:
  memory_total: 8056 MiB
  memory_reserve: 573 MiB
  proof: {domain: proof, dormant_memory: 572 MiB, memory_per_worker: 792 MiB, workers_max: 8}
  wn: {domain: wn, memory_floor: 572 MiB, memory_max: 6911 MiB}
groups:
GROUPS
hosts:
  - {name: host-1, uri: "test:///one", proof: {workers_min: 1}}
  - {name: host-2, uri: "test:///two"}
"""


def loaded(file: Path, text: str) -> Loaded:
    file.write_text(text, encoding="utf-8")
    return load(file)


def problems(file: Path, text: str) -> list[str]:
    """What is wrong with the text, one sentence each, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        loaded(file, text)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    return [problem.removeprefix(f"{file}:").removeprefix(f"{file}").strip() for problem in caught.value.problems]


def with_line(after: str, line: str) -> str:
    """The minimal file with one more line."""
    assert after in MINIMAL
    return MINIMAL.replace(after, f"{after}\n{line}", 1)


def replaced(old: str, new: str) -> str:
    """The minimal file with one thing changed."""
    assert old in MINIMAL
    return MINIMAL.replace(old, new, 1)


def bad(old: str, new: str, problem: str) -> tuple[str, str]:
    return replaced(old, new), problem


SCRAPE = replaced(
    "  kind: prometheus\n  url: http://127.0.0.1:9090/",
    """\
  kind: scrape
  targets: {proof: ["http://127.0.0.1:9820/metrics"]}
  signals: {load: {job: proof, metric: load, labels: {state: [busy]}}}""",
)


def grouped(*groups: str) -> str:
    return TWO_HOSTS.replace("GROUPS", "\n".join(f"  {group}" for group in groups))
