"""What the exporters cost: `python -m tests.benchmarks.exporters` prints one JSON document, in about five minutes.

`proof`: a scrape with 10 to 10 000 sessions. `wn`: the queue of a farm with 20 000 jobs. `xrootd`: reports per second
taken without loss on one core, next to mpxstats. Each is a program of its own beside this one, which says what it
measures; they run one after the other, on a machine that should have nothing else to do.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PARTS = ("proof", "wn", "xrootd")


def measure(part: str) -> object:
    """Run one part; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.exporters_{part}"],
        cwd=HERE.parents[1],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure everything and print the result."""
    result = {}
    for part in PARTS:
        print(f"measuring {part} ...", file=sys.stderr)  # noqa: T201 - progress, beside the output
        result[part] = measure(part)
    print(json.dumps(result))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
