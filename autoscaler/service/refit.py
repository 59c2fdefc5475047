"""A new model each night: made by a process of its own, so that no cycle waits for it and its memory is given back."""

import logging
import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time

_log = logging.getLogger("autoscaler")

# A training takes minutes; one that takes as long hangs.
LONGEST_S = 3 * 3600.0
GENTLY = ("nice", "-n", "19")


class Refit:
    """Runs ``command`` at a time of day, when the loop's scheduler says so; whatever becomes of it, the loop goes on.

    ``failed`` counts the failures in a row, up to the newest one that ended, at ``ended_at``.
    """

    def __init__(
        self,
        command: Sequence[str],
        at: time,
        longest_s: float = LONGEST_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.at = at
        self.failed = 0
        self.ended_at: datetime | None = None
        self._clock = clock
        self.command = (*GENTLY, *command)
        self._longest_s = longest_s
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._ending = False

    def run(self) -> None:
        """Run the command to its end, and log what came of it; never raises."""
        try:
            problem = self._run()
        except Exception as error:  # noqa: BLE001 - the scheduler would only log it, without the count
            problem = f"{type(error).__name__}: {error}"
        if self._ending:
            return
        self.failed = 0 if problem is None else self.failed + 1
        self.ended_at = self._clock()
        if problem is not None:
            _log.warning("no new model, failure %d in a row: %s", self.failed, problem)

    def end(self) -> None:
        """End what runs, and let nothing begin any more."""
        with self._turn:
            self._ending = True
            if self._process is not None:
                self._process.terminate()

    def _run(self) -> str | None:
        """What went wrong, in words."""
        with self._turn:
            if self._ending:
                return None
            _log.info("a new model is being made")
            self._process = subprocess.Popen(  # noqa: S603 - the command is the program itself
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        with self._process as process:
            try:
                told, problems = process.communicate(timeout=self._longest_s)
            except subprocess.TimeoutExpired:
                process.kill()
                return f"it took longer than {self._longest_s:.0f} s"
        if process.returncode:
            return _last_line(problems) or f"the training ended with exit code {process.returncode}"
        _log.info("%s", _last_line(told))
        return None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
