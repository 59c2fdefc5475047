"""Real processes whose command lines are those of PROOF."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil

from tests.testbed.processes import wait_until

SERV = "/usr/local/bin/proofserv.exe"
MASTER = (SERV, "proofserv", "xpd", "1093", "0")
WORKER = (SERV, "proofslave", "xpd", "1093", "0")
DAEMON = ("/usr/local/bin/xproofd", "-c", "import signal; signal.pause()")

DEADLINE_S = 60


@contextmanager
def running(scratch: Path, *command_lines: Sequence[str]) -> Iterator[list[psutil.Process]]:
    """Run a process with each of these command lines, and end them all.

    Each is Python in truth, for which the second word is a script to run, or -c.
    """
    for name in {arguments[1] for arguments in command_lines} - {"-c"}:
        (scratch / name).write_text("import signal\nsignal.pause()\n")
    with ExitStack() as children:
        processes = [psutil.Process(children.enter_context(_child(words, scratch)).pid) for words in command_lines]
        for process, arguments in zip(processes, command_lines, strict=True):
            wait_until(partial(_has_command_line, process, arguments), DEADLINE_S, f"{arguments} to run")
        yield processes


@contextmanager
def _child(arguments: Sequence[str], scratch: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(arguments, executable=sys.executable, cwd=scratch) as child:
        try:
            yield child
        finally:
            child.kill()


def _has_command_line(process: psutil.Process, arguments: Sequence[str]) -> bool:
    return bool(process.cmdline() == list(arguments))
