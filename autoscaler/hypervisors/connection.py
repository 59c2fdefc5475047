"""One libvirt connection that breaks rather than hangs, and is opened again, at first soon, then less and less often.

libvirt waits for ever for a daemon that is stopped, and for a host that lost its power or its network. A call under
way is ended by libvirt's keep-alive, which wants libvirt's event loop to run. Opening is not covered by it: that is
done in a thread of its own and given up.
"""

import functools
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import libvirt

from autoscaler.contracts import HypervisorError

# The other end is asked after so many seconds of silence, so many times; it is gone when one more question is due. So a
# hung call ends after 5 s x (3 + 1) = 20 s, which costs a host two cycles of 15 s. libvirtd answers in its main loop,
# however busy its workers are; a network has time to find another way.
KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 5, 3

# Through ssh to a busy host it takes seconds.
OPEN_TIMEOUT_S = 15.0

# How long nothing is tried after an attempt that failed; twice as long after each further one.
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0

# Domains and codes of errors that tell of the way to the hypervisor, not of what was asked of it. Where a proxy stands
# in between (virtproxyd), our own socket stays open while what is behind it has gone.
_OF_THE_WAY = (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
_GONE = (libvirt.VIR_ERR_RPC, libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN)

_events_lock = threading.Lock()


class NotConnectedError(HypervisorError):
    """There is no connection; the message says why, and when it is tried again if it was not tried now."""


class Connection:
    """The connection to one URI; ``clock`` is in seconds and never set back. Not thread-safe: one thread per host."""

    def __init__(
        self,
        uri: str,
        *,
        read_only: bool,
        clock: Callable[[], float] = time.monotonic,
        open_timeout_s: float = OPEN_TIMEOUT_S,
    ) -> None:
        self._uri = uri
        self._open = libvirt.openReadOnly if read_only else libvirt.open
        self._clock = clock
        self._open_timeout_s = open_timeout_s
        self._libvirt: Any = None
        self._hung: Future[Any] | None = None
        self._reason = ""
        self._wait_s = FIRST_WAIT_S
        self._again_at = -math.inf
        with _events_lock:
            _run_events()

    def get(self) -> Any:
        """Return libvirt's connection, opened if there is none that is alive; raises ``NotConnectedError``."""
        if self._libvirt is None or not self._libvirt.isAlive():
            self.close()
            self._libvirt = self._reopened()
        return self._libvirt

    def failed(self, error: libvirt.libvirtError) -> None:
        """Let go of the connection if the error of a call means that it is of no use any more."""
        if error.get_error_domain() in _OF_THE_WAY or error.get_error_code() in _GONE:
            self.close()

    def close(self) -> None:
        """Close the connection, if there is one; takes as long as a hung call where the other end is silent."""
        connection, self._libvirt = self._libvirt, None
        if connection is not None:
            _let_go(connection)

    def _reopened(self) -> Any:
        left_s = self._again_at - self._clock()
        if left_s > 0:
            raise NotConnectedError(f"no connection: {self._reason}; tried again in {math.ceil(left_s)} s")
        try:
            connection = self._opened_in_time()
        except (libvirt.libvirtError, TimeoutError) as error:
            self._reason = str(error)
            self._again_at = self._clock() + self._wait_s
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            raise NotConnectedError(f"no connection: {self._reason}") from None
        self._wait_s = FIRST_WAIT_S
        return connection

    def _opened_in_time(self) -> Any:
        """Open in a thread of its own; raises ``TimeoutError`` and leaves the thread behind if it takes too long."""
        if self._hung is not None and not self._hung.done():
            self._try_elsewhere()
        opening: Future[Any] = Future()
        threading.Thread(target=self._open_into, args=(opening,), name=f"open {self._uri}", daemon=True).start()
        try:
            return opening.result(self._open_timeout_s)
        except TimeoutError:
            self._hung = opening
            opening.add_done_callback(_let_go_opened)
            raise self._too_slow() from None

    def _open_into(self, opening: Future[Any]) -> None:
        try:
            connection = self._open(self._uri)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            opening.set_exception(error)
            return
        # A driver without a network in between has no keep-alive, and needs none.
        with suppress(libvirt.libvirtError):
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
        opening.set_result(connection)

    def _try_elsewhere(self) -> None:
        """Open in a process, which unlike a thread can end; raises ``TimeoutError`` if that hangs too.

        So a daemon that hangs for days holds one of our threads, and not one more for each attempt. And a host that
        hung and was then switched off is found when it is back, though the first open waits for its answer for ever.
        """
        # It ends itself, so that nothing is left of it when the controller ends meanwhile.
        timer = f"signal.setitimer(signal.ITIMER_REAL, {self._open_timeout_s})"
        code = f"import signal, sys, libvirt; {timer}; libvirt.{self._open.__name__}(sys.argv[1])"
        nothing = subprocess.DEVNULL
        command = [sys.executable, "-P", "-c", code, self._uri]
        done = subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, check=False)  # noqa: S603 - our own
        if done.returncode == -signal.SIGALRM:
            raise self._too_slow()

    def _too_slow(self) -> TimeoutError:
        return TimeoutError(f"opening it took longer than {self._open_timeout_s:g} s")


def _let_go_opened(opening: Future[Any]) -> None:
    if opening.exception() is None:
        _let_go(opening.result())


def _let_go(connection: Any) -> None:
    # A connection that broke cannot be closed either, and nothing is left to let go of.
    with suppress(libvirt.libvirtError):
        connection.close()


@functools.cache
def _run_events() -> None:
    """Run libvirt's event loop for the rest of the process; it has to be registered before anything is opened."""
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_handle_events, name="libvirt events", daemon=True).start()


def _handle_events() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            # Without this thread no hung call would ever end.
            time.sleep(KEEPALIVE_INTERVAL_S)
