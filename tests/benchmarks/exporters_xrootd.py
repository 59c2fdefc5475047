"""Reports per second taken without loss on one core: `python -m tests.benchmarks.exporters_xrootd` prints JSON.

Measured are the exporter of xrootd, scraped each second meanwhile, and `mpxstats` of the xrootd-server package, which
writes the same reports as text and keeps nothing. Each gets one core, the sender and all else another one. A rate holds
when every report is taken and the work is done within `LATE_S` after the last one was sent; `late_s` is how long it
took. The search ends at the first rate that does not hold twice.
"""

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psutil

from tests.exporters.running import EXPORTER, Exporter, Values
from tests.testbed.processes import Process, scratch_folder, wait_until
from tests.testbed.xrootd_server import compile_loopback_bind

SAMPLE = Path(__file__).parents[1] / "exporters" / "samples" / "xrootd" / "06-during-read-a.xml"
SERVERS = 100
SECONDS = 5.0
FIRST_RATE = 1000
RATE_STEP = 1.2
DEADLINE_S = 60

# A receiver that queues without bounds loses nothing, and falls behind for ever.
LATE_S = 1.0

# mpxstats listens on all addresses; with the shim, that becomes this one.
HOST = "::1"

Count = Callable[[], int]
Target = Callable[[Path], AbstractContextManager[tuple[psutil.Process, int, Count]]]


@cache
def cores() -> tuple[int, int]:
    """Return the core of the receiver, and that of all else, as at the first call; the same one if there is but one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def free_port() -> int:
    """Return a UDP port that is free."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver:
        receiver.bind((HOST, 0))
        return receiver.getsockname()[1]


def on_core(core: int, *argv: object) -> list[str]:
    """Return the command line that runs a command on one core; the process is the command's own."""
    return ["taskset", "--cpu-list", str(core), *map(str, argv)]


@contextmanager
def exporter(scratch: Path) -> Iterator[tuple[psutil.Process, int, Count]]:
    """Run the exporter; scrape it each second, as the eagerest Prometheus would."""
    port = free_port()
    words = ("xrootd", "--report", f"[{HOST}]:{port}", "--listen", "127.0.0.1:0")
    ended = threading.Event()
    with Process(on_core(cores()[0], EXPORTER, *words), scratch, name="exporter") as process:
        served = Exporter(process)

        def scrape() -> None:
            while not ended.wait(1):
                served.scrape()

        thread = threading.Thread(target=scrape)
        thread.start()
        try:
            yield psutil.Process(process.pid), port, lambda: reports(served.scrape())
        finally:
            ended.set()
            thread.join()


def reports(values: Values) -> int:
    """Return how many reports an exporter has taken."""
    return int(sum(value for name, value in values.items() if name.startswith("xrootd_reports_total ")))


@contextmanager
def mpxstats(scratch: Path) -> Iterator[tuple[psutil.Process, int, Count]]:
    """Run mpxstats; what it writes is counted on the other core by grep."""
    port = free_port()
    words = on_core(cores()[0], "mpxstats", "-f", "flat", "-p", port)
    environment = {**os.environ, "LD_PRELOAD": str(compile_loopback_bind(scratch))}
    with (
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer,
        subprocess.Popen(
            on_core(cores()[1], "grep", "-c", "^link.out "), stdin=writer.stdout, stdout=subprocess.PIPE, text=True
        ) as counter,
    ):
        process = psutil.Process(writer.pid)

        def count() -> int:
            writer.kill()
            return int(counter.communicate(timeout=DEADLINE_S)[0])

        try:
            writer.stdout.close()
            wait_until(lambda: listens(process, port), DEADLINE_S, "mpxstats")
            yield process, port, count
        finally:
            writer.kill()


def listens(process: psutil.Process, port: int) -> bool:
    """Say whether a process has bound the port."""
    return any(connection.laddr.port == port for connection in process.net_connections("udp6"))


def reports_of_servers() -> Callable[[int], bytes]:
    """Return a function that makes the n-th report; each server's bytes and time go on."""
    sample = SAMPLE.read_bytes()
    for old, new in (
        (b'tod="1795346023"', b'tod="%d"'),
        (b'src="vm:21094"', b'src="vm%d:21094"'),
        (b"<in>300294912</in>", b"<in>%d</in>"),
        (b"<out>100766566</out>", b"<out>%d</out>"),
    ):
        assert old in sample
        sample = sample.replace(old, new)
    return lambda n: sample % (1795346023 + n // SERVERS, n % SERVERS, 300294912 + n * 1000, 100766566 + n * 1000)


def send(port: int, rate: float, seconds: float) -> int:
    """Send reports for so long, at so many per second, and return how many they were."""
    report = reports_of_servers()
    sent = 0
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.connect((HOST, port))
        begun = perf_counter()
        while (passed := perf_counter() - begun) < seconds:
            for number in range(sent, due := int(passed * rate)):
                sender.send(report(number))
            sent = due
            sleep(0.001)
    return sent


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU seconds a process has used."""
    times = process.cpu_times()
    return times.user + times.system


def wait_until_idle(process: psutil.Process) -> float:
    """Wait until a process uses next to no CPU; return how long it still did, in seconds."""
    begun = busy_until = perf_counter()
    used = cpu_s(process)
    while perf_counter() - busy_until < 0.5:
        sleep(0.1)
        before, used = used, cpu_s(process)
        # A scrape is less than half of a tenth of a second's work.
        if used - before > 0.05:
            busy_until = perf_counter()
    return busy_until - begun


def measure(target: Target, rate: float, seconds: float = SECONDS) -> dict[str, float]:
    """Send at one rate to a receiver that was started for it."""
    with scratch_folder() as scratch, target(scratch) as (process, port, count):
        before = cpu_s(process)
        begun = perf_counter()
        sent = send(port, rate, seconds)
        sending_s = perf_counter() - begun
        late_s = wait_until_idle(process)
        used_s, memory = cpu_s(process) - before, process.memory_info().rss
        taken = count()
    return {
        "sent_per_s": round(sent / sending_s),
        "sent": sent,
        "lost": sent - taken,
        "late_s": round(late_s, 1),
        "cpu_us_per_report": round(used_s / max(1, taken) * 1e6, 1),
        "memory_mib": round(memory / 2**20),
    }


def holds(step: dict[str, float]) -> bool:
    """Say whether a receiver could go on at this rate for ever."""
    return step["lost"] == 0 and step["late_s"] <= LATE_S


def highest_rate(target: Target) -> dict[str, Any]:
    """Raise the rate until it does not hold; return the last one that did, and what it cost."""
    best: dict[str, float] = {}
    rate = float(FIRST_RATE)
    while True:
        step = measure(target, rate)
        if not holds(step):
            step = measure(target, rate)
        # A sender that is slower than it should be would make any receiver hold.
        if not holds(step) or step["sent_per_s"] < 0.9 * rate:
            return {"holds": best, "next": step}
        best, rate = step, rate * RATE_STEP


def main() -> None:
    """Search both highest rates and print the result; the load says how much of the machine others used."""
    os.sched_setaffinity(0, {cores()[1]})
    found = {"exporter": highest_rate(exporter), "mpxstats": highest_rate(mpxstats)}
    print(json.dumps({**found, "load": os.getloadavg()}))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
