"""Which domain on which host a worker node is: what the batch system cannot know.

A file of lines ``node host domain``; the series ``wn_node_info`` lets Prometheus join what the batch system says of a
node with what the hypervisor says of its domain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

WORDS_PER_LINE = 3


class BadNodeMap(ValueError):  # noqa: N818 - named after what it is about
    """The file cannot be used; the text says which line and why."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A worker node by its name in the batch system, and the host and domain it is, by their names in libvirt."""

    node: str
    host: str
    domain: str


def parse_node_map(text: str) -> tuple[Placed, ...]:
    """Read lines ``node host domain``; empty ones and what follows ``#`` do not count. Raises :class:`BadNodeMap`."""
    placed: dict[str, Placed] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != WORDS_PER_LINE:
            raise BadNodeMap(f"line {number}: it wants three words, node host domain")
        if words[0] in placed:
            raise BadNodeMap(f"line {number}: node {words[0]} stands there twice")
        placed[words[0]] = Placed(*words)
    return tuple(placed.values())


def load_node_map(file: Path) -> tuple[Placed, ...]:
    """Read ``file``; raises :class:`BadNodeMap`, which names it."""
    try:
        return parse_node_map(file.read_text())
    except OSError as error:
        raise BadNodeMap(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadNodeMap(f"{file}: not a text file") from error
    except BadNodeMap as error:
        raise BadNodeMap(f"{file}: {error}") from error


def node_info_metrics(placed: Sequence[Placed]) -> Iterator[Metric]:
    """Yield ``wn_node_info``, a series of value 1 for each node of the map."""
    if not placed:
        return
    labels = ["node", "host", "domain"]
    family = GaugeMetricFamily("wn_node_info", "Which domain on which host a worker node is.", labels=labels)
    for each in placed:
        family.add_metric([each.node, each.host, each.domain], 1)
    yield family
