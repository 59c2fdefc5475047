"""Real processes whose command lines are those of PROOF."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

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
            _wait_for_its_name(process, arguments)
        yield processes


@contextmanager
def _child(arguments: Sequence[str], scratch: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(arguments, executable=sys.executable, cwd=scratch) as child:
        try:
            yield child
        finally:
            child.kill()


def _wait_for_its_name(process: psutil.Process, arguments: Sequence[str]) -> None:
    give_up = time.monotonic() + DEADLINE_S
    while process.cmdline() != list(arguments):
        assert time.monotonic() < give_up, f"{arguments} does not run: {process}"
        time.sleep(0.01)
