"""A real Alertmanager on the loopback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.testbed.processes import Process, free_port

DEADLINE_S = 240


@contextmanager
def alertmanager(scratch: Path, config: Path) -> Iterator[str]:
    """Run one with this configuration; give its address."""
    address = f"127.0.0.1:{free_port()}"
    words = [
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={scratch / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with Process(words, scratch) as process:
        ready = f"http://{address}/-/ready"
        process.wait_until(lambda: requests.get(ready, timeout=DEADLINE_S).ok, DEADLINE_S, "Alertmanager to be ready")
        yield address
