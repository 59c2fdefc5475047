"""The API in a process of its own: one that is flooded, leaks or dies takes nothing from the loop."""

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from prometheus_client import ProcessCollector

from autoscaler.api.address import listening_on
from autoscaler.api.messages import Beginning, Report
from autoscaler.api.metrics import ApiMetrics
from autoscaler.config.schema import Config
from autoscaler.store.database import Database

_log = logging.getLogger("autoscaler")

# It reports twice a second, but on a busy machine it takes long to start.
SILENT_S = 60
# How long it may take to end: what is under way has a second.
END_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
# Who lived so long was started well.
GOOD_LIFE_S = 300.0
LARGEST_REPORT = 1024**2
# systemd hears of the service from the controller alone.
_OF_SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")


class ApiProcess:
    """Keeps the process running, in a thread of its own. The loop waits neither for the process nor for the thread.

    ``usage`` tells Prometheus what the process takes: its memory, CPU time and files.
    """

    def __init__(
        self,
        config: Config,
        place: Path | Database,
        formatter: logging.Formatter,
        ring: Callable[[], None],
        metrics: ApiMetrics,
    ) -> None:
        self._place = place
        self._formatter = formatter
        self._ring = ring
        self._metrics = metrics
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._ending = threading.Event()
        # The library takes a process that is not there for one that tells nothing.
        self.usage = ProcessCollector("autoscaler_api", pid=lambda: self._pid, registry=None)

    @property
    def _pid(self) -> int:
        process = self._process
        return 0 if process is None else process.pid

    def take_over(self, config: Config) -> None:
        """Let this configuration be the one in force, half a second from now."""
        self._config = config

    @contextmanager
    def serving(self) -> Iterator[tuple[str, int]]:
        """Serve the API while the ``with`` block runs; yield the address with its port. Raises ``ApiError``.

        Who connects before the process is there, or while another one is started, waits.
        """
        with listening_on(self._config.api) as listening:
            thread = threading.Thread(target=self._keep_running, args=(listening,), name="api", daemon=True)
            thread.start()
            try:
                host, port, *_ = listening.getsockname()
                yield host, port
            finally:
                self._end(thread)

    def _end(self, thread: threading.Thread) -> None:
        with self._turn:
            self._ending.set()
            if self._process is not None:
                self._process.terminate()
        thread.join(END_S)
        with self._turn:
            if self._process is not None:
                self._process.kill()
        thread.join()

    def _keep_running(self, listening: socket.socket) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = time.monotonic()
            how = self._life(listening)
            if self._ending.is_set():
                return
            if time.monotonic() - began_s > GOOD_LIFE_S:
                pause_s = FIRST_PAUSE_S
            self._metrics.restarted()
            _log.error("the API's process %s; another one is started in %g s", how, pause_s)
            if self._ending.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _life(self, listening: socket.socket) -> str:
        """Run one process to its end, and tell how it ended; never raises."""
        try:
            line, process = self._started(listening)
            with closing(line), process:
                try:
                    self._talk(line)
                    process.wait(END_S)
                finally:
                    process.kill()
        except (_SilentError, BlockingIOError):
            return f"has said nothing for {SILENT_S} s"
        except subprocess.TimeoutExpired:
            return f"did not end in {END_S:g} s"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the process, the thread goes on
            return f"cannot be used: {type(error).__name__}: {error}"
        finally:
            with self._turn:
                self._process = None
        return _ending_of(process.returncode)

    def _started(self, listening: socket.socket) -> tuple[Connection, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            fds = (listening.fileno(), theirs.fileno())
            # A process that stops in the middle of a message must not keep the thread for ever.
            for way in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
                ours.setsockopt(socket.SOL_SOCKET, way, struct.pack("ll", SILENT_S, 0))
            with self._turn:
                process = subprocess.Popen(  # noqa: S603 - the command is the program itself
                    [sys.executable, "-P", "-m", "autoscaler.api", *map(str, fds)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=fds,
                    env={key: value for key, value in os.environ.items() if key not in _OF_SYSTEMD},
                )
                self._process = process
                if self._ending.is_set():
                    process.terminate()
            return Connection(ours.detach()), process

    def _talk(self, line: Connection) -> None:
        """Hear the process until it closes the line, and tell it each configuration."""
        told = self._config
        with suppress(EOFError, ConnectionError):
            line.send(Beginning(told, self._place, self._formatter))
            while line.poll(SILENT_S):
                report = msgspec.json.decode(line.recv_bytes(LARGEST_REPORT), type=Report)
                self._metrics.add(report.counts)
                if report.rings:
                    self._ring()
                if self._config is not told:
                    told = self._config
                    line.send(told)
            raise _SilentError


class _SilentError(Exception):
    """The process does not report any more."""


def _ending_of(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    return f"was ended by signal {-code} ({signal.strsignal(-code)})"
