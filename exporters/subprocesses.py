"""Run the commands through which batch systems and file systems tell what they know."""

import os
import selectors
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from exporters.serving import SourceUnavailable

LONGEST_MESSAGE = 300

# What squeue prints of 20 000 jobs is 70 MB; a command that prints this much more has gone mad.
MOST_OUTPUT_MIB = 512
MOST_ERRORS_BYTES = 2**16
CHUNK_BYTES = 2**16  # what a pipe holds


class _TooMuchError(Exception):
    """The command printed more than it may."""


def run(
    arguments: Sequence[str],
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    most_mib: int = MOST_OUTPUT_MIB,
) -> bytes:
    """Return what a command prints, with ``environment`` on top of the present one.

    Raises :class:`SourceUnavailable` if it cannot be started, fails, prints more than ``most_mib`` MiB, or has not
    ended and closed its output within ``timeout_s`` seconds. Then its whole process group is killed, so that a hanging
    batch system does not fill the machine with waiting clients.
    """
    name = Path(arguments[0]).name
    try:
        output, errors, code = _output(arguments, timeout_s, {**os.environ, **(environment or {})}, most_mib * 2**20)
    except OSError as error:
        raise SourceUnavailable(f"cannot run {arguments[0]}: {error.strerror}; is it installed?") from error
    except TimeoutExpired as expired:
        raise SourceUnavailable(f"{name} gave no answer within {timeout_s:g} s") from expired
    except _TooMuchError as error:
        raise SourceUnavailable(f"{name} was stopped: it printed more than {most_mib} MiB") from error
    if code != 0:
        message = " ".join(errors.decode(errors="replace").split())[:LONGEST_MESSAGE]
        raise SourceUnavailable(f"{name} {_end(code)}: {message or 'it gave no reason'}")
    return output


def _end(code: int) -> str:
    return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code} ({signal.strsignal(-code)})"


def _output(
    arguments: Sequence[str], timeout_s: float, environment: Mapping[str, str], most_bytes: int
) -> tuple[bytes, bytes, int]:
    deadline = time.monotonic() + timeout_s
    with Popen(  # noqa: S603 - the command is the site's own, from the command line
        arguments, bufsize=0, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True
    ) as process:
        try:
            output, errors = _read(process, deadline, most_bytes)
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except BaseException:
            # It is not waited for yet, so its group cannot be another one's by now.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return output, errors, code


def _read(process: Popen[bytes], deadline: float, most_bytes: int) -> tuple[bytes, bytes]:
    """Read both pipes to their ends; a BytesIO gives away its bytes without a second copy of them."""
    output, errors = BytesIO(), BytesIO()
    with selectors.DefaultSelector() as selector:
        for pipe, buffer in ((process.stdout, output), (process.stderr, errors)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, buffer)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            ready = selector.select(left_s) if left_s > 0 else []
            if not ready:
                raise TimeoutExpired(process.args, 0)
            for key, _ in ready:
                chunk = os.read(key.fd, CHUNK_BYTES)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.data is output or errors.tell() < MOST_ERRORS_BYTES:
                    key.data.write(chunk)
            if output.tell() > most_bytes:
                raise _TooMuchError
    return output.getvalue(), errors.getvalue()
