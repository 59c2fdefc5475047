"""The talk's figure: `python -m tests.benchmarks.settings --plot FILE.svg` draws it and prints JSON.

In 2007 the event rate of a guest followed its memory and cores, set from outside while it ran, through four settings:
3.5 GiB and 4 cores, 256 MiB and half a core, 1.75 GiB and 3 cores, 512 MiB and 2 cores. Here the controller's own
hypervisor layer sets half of it, but never less memory than today's kernel lives in, on a QEMU guest with two busy
vCPUs; rate and memory are the guest's own word. Its load only burns CPU, so the rate shows the cap alone and the memory
is drawn below it. Only the ratios mean something on another machine: `rate_ratio` is the rate over that at the first
setting, `cap_ratio` what it should be, and `got_cores` the CPU time that the host says it got: less than the cap where
others use the machine too, and then the figure shows them. Wants root and two idle cores.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import click

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.hypervisors.kvm import KvmDriver
from autoscaler.hypervisors.libvirt_host import LibvirtHost
from tests.testbed.guests import Guest, Report, build_initramfs
from tests.testbed.libvirtd import Libvirtd
from tests.testbed.processes import scratch_folder, wait_until

NAME = "busy"
VCPUS = 2
WEIGHT = 256
SECONDS = 40
SETTLE_DEADLINE_S = 240
# A few units of the guest's work each: the rate of a shorter time is coarse at a quarter of a core.
WINDOW_S = 3.0


class Setting(NamedTuple):
    """What the guest is given, and what that was in the talk."""

    memory_mib: int
    cap_cores: float
    in_2007: str


SETTINGS = (
    Setting(1792, 2.0, "3.5 GiB, 4 cores"),
    Setting(192, 0.25, "256 MiB, 1/2 core"),
    Setting(896, 1.5, "1.75 GiB, 3 cores"),
    Setting(256, 1.0, "512 MiB, 2 cores"),
)


class Sample(NamedTuple):
    """The guest's event rate and memory, at a time since the first setting."""

    at_s: float
    events_per_s: float
    memory_mib: float


@dataclass(frozen=True)
class Held:
    """A setting; when it was asked for, when its memory was there, and its end, in the guest's uptime; cores it got."""

    setting: Setting
    asked_s: float
    reached_s: float
    ended_s: float
    got_cores: float


def hold(guest: Guest, host: LibvirtHost, setting: Setting, seconds: float) -> Held:
    """Bring the guest to a setting and leave it there for a while."""
    asked_s = guest.next_report().uptime_s
    grows = setting.memory_mib > guest.actual_mib()
    # A guest without CPU cannot move its balloon: what is more comes before the memory, what is less after it.
    if grows:
        host.set_cpu(NAME, WEIGHT, setting.cap_cores)
    host.set_memory(NAME, setting.memory_mib)

    def there() -> bool:
        return abs(guest.actual_mib() - setting.memory_mib) <= BALLOON_TOLERANCE_MIB

    wait_until(there, SETTLE_DEADLINE_S, f"a balloon of {setting.memory_mib} MiB")
    host.set_cpu(NAME, WEIGHT, setting.cap_cores)
    reached_s, used_s, begun_s = guest.next_report().uptime_s, guest.cpu_seconds(), time.monotonic()

    def held() -> Report | None:
        newest = guest.reports()[-1]
        return newest if newest.uptime_s - reached_s >= seconds else None

    ended_s = wait_until(held, seconds + SETTLE_DEADLINE_S, "the time to pass").uptime_s
    got_cores = (guest.cpu_seconds() - used_s) / (time.monotonic() - begun_s)
    return Held(setting, asked_s, reached_s, ended_s, got_cores)


def samples_of(reports: Sequence[Report], begin_s: float) -> list[Sample]:
    """Return the rate over the time before each report."""
    samples = []
    first = 0
    for report in reports:
        while first + 1 < len(reports) and report.uptime_s - reports[first + 1].uptime_s >= WINDOW_S:
            first += 1
        if report.uptime_s - reports[first].uptime_s >= WINDOW_S:
            rate = round(report.rate_since(reports[first]), 2)
            samples.append(Sample(round(report.uptime_s - begin_s, 2), rate, round(report.memtotal_kib / 1024)))
    return samples


def measure(seconds: float = SECONDS) -> dict[str, Any]:
    """Run the guest through all settings."""
    with scratch_folder() as folder, Libvirtd(folder) as libvirtd, scratch_folder() as scratch:
        kernel = build_initramfs(scratch)
        guest = Guest(libvirtd.uri, kernel, scratch, NAME, memory_max_mib=SETTINGS[0].memory_mib, vcpus=VCPUS)
        with guest, closing(LibvirtHost("kvm-host", libvirtd.uri, (NAME,), KvmDriver(), read_only=False)) as host:
            held = []
            for setting in SETTINGS:
                progress(f"{setting.memory_mib} MiB, {setting.cap_cores} cores ...")
                held.append(hold(guest, host, setting, seconds))
            reports = [report for report in guest.reports() if report.uptime_s >= held[0].asked_s]
    samples = samples_of(reports, held[0].asked_s)
    return {
        "settings": in_numbers(held, reports),
        "samples": [sample._asdict() for sample in samples],
        "load": os.getloadavg(),
    }


def in_numbers(held: Sequence[Held], reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Return what the guest did while it had each setting."""
    found: list[dict[str, Any]] = []
    for one in held:
        during = [report for report in reports if one.reached_s <= report.uptime_s <= one.ended_s]
        rate = during[-1].rate_since(during[0])
        found.append(
            {
                **one.setting._asdict(),
                "asked_s": round(one.asked_s - held[0].asked_s, 1),
                "reached_s": round(one.reached_s - held[0].asked_s, 1),
                "ended_s": round(one.ended_s - held[0].asked_s, 1),
                "guest_memory_mib": round(median(report.memtotal_kib for report in during) / 1024),
                "events_per_s": round(rate, 2),
                "rate_ratio": round(rate / found[0]["events_per_s"], 3) if found else 1.0,
                "cap_ratio": one.setting.cap_cores / held[0].setting.cap_cores,
                "got_cores": round(one.got_cores, 2),
            }
        )
    return found


def progress(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - beside the output


class Panel(NamedTuple):
    """A part of the picture: its value's name, its place, and its largest value."""

    what: str
    top: float
    height: float
    largest: float


WIDTH, LEFT, RIGHT, HEIGHT = 900, 70, 20, 460


def draw(measured: dict[str, Any]) -> str:
    """Return the figure as SVG: the event rate, and below it the memory, over time, with the settings written in."""
    settings, samples = measured["settings"], measured["samples"]
    end_s = settings[-1]["ended_s"]

    def x(at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at_s / end_s

    def line(panel: Panel, key: str, colour: str) -> str:
        points = " ".join(
            f"{x(max(0, sample['at_s'])):.1f},{panel.top + panel.height * (1 - sample[key] / panel.largest):.1f}"
            for sample in samples
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    rate = Panel("events per second", 60, 230, 1.1 * max(sample["events_per_s"] for sample in samples))
    memory = Panel("memory, MiB", 320, 90, 1.1 * max(sample["memory_mib"] for sample in samples))
    look = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {look}>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for setting in settings:
        begin, width = x(setting["reached_s"]), x(setting["ended_s"]) - x(setting["reached_s"])
        parts.append(f'<rect x="{begin:.1f}" y="10" width="{width:.1f}" height="400" fill="#eef3f8"/>')
        words = (
            f"{setting['memory_mib']} MiB, {setting['cap_cores']:g} cores",
            f"2007: {setting['in_2007']}",
        )
        parts += [text(begin + width / 2, 28 + 16 * row, word, "middle") for row, word in enumerate(words)]
    for panel, key, colour in ((rate, "events_per_s", "#1f5fa8"), (memory, "memory_mib", "#a8501f")):
        parts += [*frame(panel), line(panel, key, colour)]
    parts += [text(x(at_s), 428, f"{at_s}", "middle") for at_s in range(0, int(end_s), 30)]
    parts += [text(WIDTH / 2, 448, "seconds", "middle"), "</svg>"]
    return "\n".join(parts) + "\n"


def frame(panel: Panel) -> list[str]:
    """Return a panel's border, name, and the values at its bottom and near its top."""
    bottom, middle = panel.top + panel.height, panel.top + panel.height / 2
    highest = panel.largest / 1.1
    place = f'x="{LEFT}" y="{panel.top}" width="{WIDTH - LEFT - RIGHT}" height="{panel.height}"'
    return [
        f'<rect {place} fill="none" stroke="#888"/>',
        f'<text transform="translate(18 {middle}) rotate(-90)" text-anchor="middle">{escape(panel.what)}</text>',
        text(LEFT - 6, bottom, "0", "end"),
        text(LEFT - 6, bottom - panel.height / 1.1 + 4, f"{highest:.0f}", "end"),
    ]


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Return words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


@click.command(help=__doc__.splitlines()[0])
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the figure there, as SVG.")
@click.option("--seconds", type=click.FloatRange(min=5), default=SECONDS, show_default=True, help="At each setting.")
def main(plot: Path | None, seconds: float) -> None:
    """Measure, draw, and print the result."""
    if os.geteuid():
        raise click.ClickException("this wants root: it starts a libvirtd of its own, in namespaces of its own")
    measured = measure(seconds)
    print(json.dumps(measured))  # noqa: T201 - this is its output
    if plot is not None:
        plot.write_text(draw(measured))


if __name__ == "__main__":
    main()
