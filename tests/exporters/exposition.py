"""The whole exposition of a source as text, held against a golden file, and Prometheus' own opinion of it.

After a wanted change: ``VAF_REGENERATE_GOLDEN=1 pytest tests/exporters tests/service``, then read the diff.
"""

import os
import subprocess
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from exporters.serving import Source, SourceCollector

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
GOLDEN = HERE / "golden"
NOW = 1_795_347_500.0


def exposition(source: Source) -> str:
    """Return what one scrape at :data:`NOW` gives, which took 0.125 s."""
    registry = CollectorRegistry()
    ticks = iter((0.0, 0.125))
    registry.register(SourceCollector(source, clock=lambda: NOW, timer=lambda: next(ticks)))
    return generate_latest(registry).decode()


def assert_golden(name: str, text: str, folder: Path = GOLDEN) -> None:
    """Compare ``text`` with the golden file of that name, and let promtool judge it."""
    golden = folder / f"{name}.prom"
    if os.environ.get("VAF_REGENERATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    words = ["promtool", "check", "metrics"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
