"""Run the commands through which batch systems and file systems tell what they know."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from exporters.serving import SourceUnavailable

LONGEST_MESSAGE = 300


def run(arguments: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None) -> bytes:
    """Return what a command prints, with ``environment`` on top of the present one.

    Raises :class:`SourceUnavailable` if it cannot be started, fails, or does not end within ``timeout_s`` seconds; then
    its whole process group is killed, so that a hanging batch system does not fill the machine with waiting clients.
    """
    name = Path(arguments[0]).name
    try:
        output, errors, code = _output(arguments, timeout_s, {**os.environ, **(environment or {})})
    except OSError as error:
        raise SourceUnavailable(f"cannot run {arguments[0]}: {error.strerror}; is it installed?") from error
    except TimeoutExpired as expired:
        raise SourceUnavailable(f"{name} gave no answer within {timeout_s:g} s") from expired
    if code != 0:
        message = " ".join(errors.decode(errors="replace").split())[:LONGEST_MESSAGE]
        raise SourceUnavailable(f"{name} failed with exit code {code}: {message}")
    return output


def _output(arguments: Sequence[str], timeout_s: float, environment: Mapping[str, str]) -> tuple[bytes, bytes, int]:
    with Popen(  # noqa: S603 - the command is the site's own, from the command line
        arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return output, errors, process.returncode
