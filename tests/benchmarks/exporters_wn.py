"""What 20 000 jobs cost ``vaf-exporter wn``: `python -m tests.benchmarks.exporters_wn` prints JSON.

``squeue --json`` is stood for by `cat` of a file in the layout of a real one (the captured sample's records, repeated
with numbers of their own). Each way of reading runs in a process of its own: ``seconds`` is the wall time of the work,
``peak_mib`` how much the greatest resident memory of the process (ru_maxrss) grew while it worked, after all imports.

* ``parse``: bytes to jobs; the bytes are there before, and not counted;
* ``scrape``: run the command, parse, make the metrics and their exposition: all that one scrape does;
* ``json.loads``: the reference, on the same bytes, which only makes dictionaries of them.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from prometheus_client import CollectorRegistry, generate_latest

from exporters.serving import SourceCollector
from exporters.wn import slurm
from exporters.wn.main import batch_sources
from exporters.wn.slurm_json import parse_jobs

HERE = Path(__file__).parent
SAMPLE = HERE.parent / "exporters" / "samples" / "slurm" / "squeue.json"
JOBS = 20_000
MIB = 2**20


def write_squeue(folder: Path, jobs: int) -> Path:
    """Write a document of so many jobs, and a command ``squeue`` that prints it; return the document."""
    sample = json.loads(SAMPLE.read_text())
    records = sample["jobs"]
    document = folder / "squeue.json"
    with document.open("w") as file:
        file.write(json.dumps({**sample, "jobs": []}, indent=2).replace("[]\n}", "[\n"))
        for number in range(jobs):
            record = {**records[number % len(records)], "job_id": number, "name": f"job-{number}"}
            file.write((",\n" if number else "") + json.dumps(record, indent=2))
        file.write("]}")
    command = folder / "squeue"
    command.write_text(f"#!/bin/sh\nexec cat '{document}'\n")
    command.chmod(0o755)
    return document


def scrape(folder: Path) -> None:
    """Do what one scrape of the jobs does."""
    source = batch_sources(slurm.system(folder, 60), 60)[0]
    registry = CollectorRegistry()
    registry.register(SourceCollector(source))
    assert "wn_up 1.0" in generate_latest(registry).decode()


def work(way: str, document: Path) -> Callable[[], object]:
    """Return the work to measure; what it needs beforehand is there."""
    if way == "scrape":
        return lambda: scrape(document.parent)
    output = document.read_bytes()
    return {"parse": lambda: parse_jobs("squeue", output), "json.loads": lambda: json.loads(output)}[way]


def peak_mib() -> float:
    """Return the greatest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_here(way: str, document: Path) -> dict[str, float]:
    """Measure one way in this process, which must be fresh."""
    todo = work(way, document)
    before_mib, began = peak_mib(), perf_counter()
    result = todo()
    seconds, grown_mib = perf_counter() - began, peak_mib() - before_mib
    del result
    return {"seconds": seconds, "peak_mib": grown_mib}


def measure(jobs: int = JOBS) -> dict[str, object]:
    """Measure all ways, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        document = write_squeue(Path(folder), jobs)
        measured: dict[str, object] = {"jobs": jobs, "document_mib": document.stat().st_size / MIB}
        for way in ("parse", "scrape", "json.loads"):
            words = [sys.executable, "-m", "tests.benchmarks.exporters_wn", way, str(document)]
            printed = subprocess.run(words, cwd=HERE.parents[1], capture_output=True, check=True).stdout
            measured[way] = json.loads(printed)
    return measured


def main() -> None:
    """Measure and print the result; with a way and a document, measure that alone."""
    measured = measure_here(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 2 else measure()
    print(json.dumps(measured))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
