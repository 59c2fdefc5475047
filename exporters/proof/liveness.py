"""Whether the process behind a file still lives: files outlive their processes, and process ids are given out again."""

import os
from collections.abc import Collection

import psutil

# What stands in the command line of each session of any ROOT (XrdProofdProofServMgr.cxx, proofexecv.cxx), and of its
# daemon, which may be a plug-in of xrootd.
SESSION_PROGRAMS = ("proofserv", "proofslave", "proofexecv")
DAEMON_PROGRAMS = ("xproofd", "xrootd")

# The kernel counts a process's start from the boot, a file's time is that of the clock: the two differ a little.
CLOCK_SLACK_S = 60.0


def is_alive(pid: int) -> bool:
    """Say whether a process of that id exists; another user's counts as well."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return True


def is_replaced(pid: int, written_at_s: float, programs: Collection[str]) -> bool:
    """Say whether the process of that id is surely not the one about which a file was written at ``written_at_s``.

    It is not when it began after the file and its command line names none of ``programs``, or when it is a zombie.
    Neither sign alone is enough: a clock that was set, or a restored file, makes a live process look younger than its
    file, and a wrapper may hide its name. What cannot be looked at has the benefit of the doubt.
    """
    try:
        process = psutil.Process(pid)
        if process.create_time() <= written_at_s + CLOCK_SLACK_S:
            return bool(process.status() == psutil.STATUS_ZOMBIE)
        arguments = process.cmdline()
    except psutil.ZombieProcess:
        return True
    except psutil.Error:
        return False
    return not any(program in argument for program in programs for argument in arguments)
