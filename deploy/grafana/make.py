"""Writes Grafana's dashboards, and its own alert rules from those of Prometheus: one place for what is asked.

After a change in panels/ or in deploy/prometheus/*.rules.yml: ``python deploy/grafana/make.py``.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

from alert_rules import alerting
from panels.facility import facility
from panels.host import host
from panels.policy import policy
from panels.worker_nodes import worker_nodes
from ruamel.yaml import YAML

HERE = Path(__file__).parent


def files() -> Iterator[tuple[Path, str]]:
    """Every file that is made, with its text."""
    for made in (facility(), host(), policy(), worker_nodes()):
        name = made["uid"].removeprefix("vaf-")
        yield HERE / "dashboards" / f"{name}.json", json.dumps(made, indent=1) + "\n"
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1_000
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.dump(alerting(), text)
    told = "# Made by make.py from deploy/prometheus/*.rules.yml: change it there.\n"
    yield HERE / "provisioning" / "alerting" / "rules.yml", told + text.getvalue()


if __name__ == "__main__":
    for path, content in files():
        path.write_text(content, encoding="utf-8")
