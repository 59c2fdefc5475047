"""A bar with the remaining time for whoever waits at a terminal; elsewhere a line now and then."""

import os
import pty
import subprocess
import sys

COUNTS = "from autoscaler.cli.progress import tracked\nprint(sum(tracked(iter(range(5)), 5, 'cycles')))"


def test_at_a_terminal_a_bar_is_shown_on_standard_error() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", COUNTS], stdout=subprocess.PIPE, stderr=theirs, env=environment, check=True, timeout=60
    )
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    assert done.stdout == b"10\n"
    assert "cycles" in shown
    assert "100%" in shown
    assert "0:00:0" in shown


def test_elsewhere_a_long_command_says_now_and_then_how_far_it_is() -> None:
    often = f"from autoscaler.cli import progress\nprogress.LINE_EVERY_S = 0\n{COUNTS}"
    done = subprocess.run([sys.executable, "-c", often], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"10\n"
    assert done.stderr.decode().splitlines() == [f"cycles: {share} %" for share in (20, 40, 60, 80, 100)]


def test_elsewhere_a_short_one_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", COUNTS], capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"10\n", b"")
