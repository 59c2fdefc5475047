"""Whether something leaves descriptors or threads behind in this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.testbed.processes import wait_until

DEADLINE_S = 180


def opening(uri: str) -> int:
    """How many threads wait for an answer while they open this address."""
    return sum(thread.name == f"open {uri}" for thread in threading.enumerate())


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Wait after the ``with`` block until there are no more descriptors and threads than before it."""
    process = psutil.Process()
    descriptors, threads = process.num_fds(), threading.active_count()
    yield
    # libvirt's event loop lets go of a closed connection in a thread of its own.
    wait_until(
        lambda: process.num_fds() <= descriptors and threading.active_count() <= threads,
        DEADLINE_S,
        f"no more than {descriptors} descriptors and {threads} threads",
    )
