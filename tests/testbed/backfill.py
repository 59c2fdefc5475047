"""Data of a Prometheus from before it was started."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

BACKFILL_DEADLINE_S = 120


def write_back(scratch: Path, series: Mapping[str, Callable[[int], float]], times: range) -> None:
    """Let a Prometheus of this folder remember series, ``name{labels}``, by what they were at each of these seconds."""
    lines = []
    for name, value in series.items():
        lines.append(f"# TYPE {name.partition('{')[0]} gauge")
        lines += [f"{name} {value(at_s)} {at_s}" for at_s in times]
    file = scratch / "past.om"
    file.write_text("\n".join([*lines, "# EOF\n"]))
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", file, scratch / "tsdb"]
    subprocess.run(command, check=True, capture_output=True, timeout=BACKFILL_DEADLINE_S)
