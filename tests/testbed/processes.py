"""Starts real servers for a test, waits for them by condition, and leaves nothing running whatever becomes of the test.

A server is killed with its whole process group at the end of the ``with`` block, and also when the test runner itself
is killed: a small shell watches a pipe that only the runner holds open.
"""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

POLL_S = 0.05
KILL_GROUP_WHEN_RUNNER_IS_GONE = 'read -r _; kill -KILL "-$1"'


class ProcessEndedError(Exception):
    """A process ended that should still run; the message has the end of its log."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder that any user can read, with a path short enough for UNIX sockets; pytest's own are neither."""
    with tempfile.TemporaryDirectory(prefix="vaf-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition: Callable[[], T | None], deadline_s: float, what: str) -> T:
    """Poll until the condition is truthy and return its value; an exception in it counts as not yet.

    Only ``ProcessEndedError`` passes through at once: waiting longer for a dead server teaches nothing.
    """
    give_up = time.monotonic() + deadline_s
    while True:
        last: object
        try:
            value = condition()
        except ProcessEndedError:
            raise
        except Exception as error:  # noqa: BLE001 (a server that is starting may answer anything)
            last = error
        else:
            if value:
                return value
            last = value
        if time.monotonic() >= give_up:
            raise AssertionError(f"after {deadline_s} s still waiting for {what}; last: {last!r}")
        time.sleep(POLL_S)


def _credentials(user: str) -> dict[str, Any]:
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class Process:
    """A server in its own session, its output in ``<scratch>/<name>.log``.

    ``with`` starts and ends it. After ``kill9`` or ``terminate``, ``start`` starts the same command again and appends
    to the same log. ``user`` is for servers that refuse to run as root.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        scratch: Path,
        *,
        name: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.name = name or Path(self.argv[0]).name
        self.log = scratch / f"{self.name}.log"
        self._env = None if env is None else {**os.environ, **env}
        self._cwd = cwd
        self._credentials = {} if user is None else _credentials(user)
        self._popen: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill9()

    def start(self) -> None:
        """Start the command; it must not be running."""
        if self._popen is not None:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                **self._credentials,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", KILL_GROUP_WHEN_RUNNER_IS_GONE, "watcher", str(self.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its process group."""
        if self._popen is None:
            raise ProcessEndedError(f"{self.name} is not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._popen is not None and self._popen.poll() is None

    def log_tail(self, lines: int = 30) -> str:
        """Return the end of the output."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Raise ``ProcessEndedError`` unless the process is alive."""
        if not self.running:
            code = None if self._popen is None else self._popen.returncode
            raise ProcessEndedError(f"{self.name} ended with {code}: {self.argv}\n{self.log_tail()}")

    def wait_until(self, condition: Callable[[], T | None], deadline_s: float, what: str) -> T:
        """Wait as ``wait_until`` does, but fail at once when the process ends; failures show the end of its log."""

        def alive_and_condition() -> T | None:
            self.check()
            return condition()

        try:
            return wait_until(alive_and_condition, deadline_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n--- {self.log}\n{self.log_tail()}") from error

    def terminate(self, deadline_s: float = 60) -> int:
        """Ask with SIGTERM, kill what is left after the deadline, and return the exit code (negative: the signal)."""
        if self._popen is None:
            raise ProcessEndedError(f"{self.name} is not started")
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(deadline_s)
        return self.kill9()

    def pause(self) -> None:
        """Freeze the whole process group, as a server that hangs: connections stay open, nothing answers."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process group run on."""
        os.killpg(self.pid, signal.SIGCONT)

    def kill9(self) -> int:
        """Kill the whole process group with SIGKILL; return the exit code of the process."""
        if self._popen is None:
            return 0
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        code = self._popen.wait()
        self._popen = None
        self._end_watcher()
        return code

    def _end_watcher(self) -> None:
        if self._watcher is None:
            return
        self._watcher.kill()
        with suppress(BrokenPipeError):
            self._watcher.communicate()
        self._watcher = None


def kill_marked(mark: str, deadline_s: float) -> None:
    """Kill every process with ``mark`` (NAME=value) in its environment, until none is left.

    For the jobs of a batch system: they run in sessions of their own, and outlive the daemon that started them.
    """
    wait_until(lambda: not [_kill(pid) for pid in marked(mark)], deadline_s, f"the end of all {mark}")


def marked(mark: str) -> Iterator[int]:
    """Yield the ids of the processes with ``mark`` (NAME=value) in their environment."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        # A process that has ended meanwhile has no environment; nobody's but root's own can be read by others.
        with suppress(OSError):
            if f"{mark}\0".encode() in file.read_bytes():
                yield int(file.parent.name)


def _kill(pid: int) -> int:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid
