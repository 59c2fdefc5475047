"""No bytes and no rows make a reader raise anything but its documented error, nor give a row that cannot be."""

import gzip
from collections.abc import Callable
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoscaler.simulation.traces.jobs import read_jobs
from autoscaler.simulation.traces.reading import read_reading
from autoscaler.simulation.traces.sessions import read_sessions
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.workload import Reading
from tests.simulation.traces.files import SWF_HEADER, swf_row

Reader = Callable[[Path], Trace[Any]]

READERS = {
    "sessions": read_sessions,
    "sessions of a queue": partial(read_sessions, queue=1),
    "sessions of a constant size": partial(read_sessions, workers=4, read_bytes_per_worker_s=1e6),
    "jobs": partial(read_jobs, memory_mib=700),
    "reading": read_reading,
}
GOOD = (SWF_HEADER + "\n".join(swf_row(number) for number in range(20))).encode()

unhurried = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
numbers = st.one_of(
    st.sampled_from(
        ["-1", "0", "1", "nan", "inf", "-inf", "", "1e308", "1e-308", "0x1", "1_0", "-0.0", "²", "1541203200"]
    ),
    st.integers(-10, 10**7).map(str),
    st.floats().map(str),
)
columns = st.sampled_from(
    [
        "submit_s",
        "run_s",
        "workers",
        "user",
        "cpu_ratio",
        "memory_mib",
        "at_s",
        "bytes_per_second",
        "start",
        "fsz",
        "elap",
    ]
)
comments = st.sampled_from(["UnixStartTime", "TimeZoneString", "TimeZone", "x"])


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """SWF or CSV in form, with anything for numbers, in shuffled rows of sometimes the wrong length."""
    separator = draw(st.sampled_from([",", " "]))
    names = draw(st.lists(columns, unique=True, min_size=1)) if separator == "," else []
    width = len(names) or 18
    clock = [f"#{draw(comments)}: {draw(numbers | st.text(max_size=5))}" for _ in range(draw(st.integers(0, 3)))]
    wrong = st.lists(numbers, max_size=20)
    right = st.lists(numbers, min_size=width, max_size=width)
    rows = draw(st.lists(st.one_of(right, right, right, wrong), max_size=8))
    lines = [*clock, *([",".join(names)] if names else []), *(separator.join(row) for row in rows)]
    return "\n".join(lines).encode(errors="surrogatepass")


damaged = st.builds(
    lambda begin, end, new: GOOD[: min(begin, end)] + new + GOOD[max(begin, end) :],
    st.integers(0, len(GOOD)),
    st.integers(0, len(GOOD)),
    st.binary(max_size=8),
)
whole = st.binary() | damaged | tables()
torn = st.builds(lambda data, cut: gzip.compress(data)[: -cut or None], whole, st.integers(0, 30))


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@unhurried
@given(data=whole | torn)
@example(data=b"\x1f\x8b")
@example(data=gzip.compress(GOOD) + b"rubbish")
@example(data=b";" * 100_000)
@example(data=b"# UnixStartTime: -1e300\nsubmit_s,run_s\n1,1\n")
@example(data=b"at_s,bytes_per_second\n5e-324,1\n1e-323,1\n")
def test_any_file_is_read_or_refused_with_a_sentence(tmp_path: Path, read: Reader, data: bytes) -> None:
    file = tmp_path / "trace"
    file.write_bytes(data)
    trace = said = None
    try:
        trace = read(file)
    except TraceError as error:
        said = str(error)
    if trace is None:
        assert said is not None
        assert said.startswith(str(file))
        assert "\n" not in said
        return
    assert all("\n" not in remark for remark in trace.remarks())
    if isinstance(trace.content, Reading):
        assert all(isfinite(rate) and rate >= 0 for rate in trace.content.bytes_per_s)
        return
    assert trace.content
    assert [each.submit_s for each in trace.content] == sorted(each.submit_s for each in trace.content)
    assert all(isfinite(each.submit_s) and each.submit_s >= 0 and 0 < each.run_s < 1e9 for each in trace.content)
