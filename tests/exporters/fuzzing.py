"""What the fuzz tests of all parsers share: no input may make a parser raise anything but its documented error.

``VAF_FUZZ_EXAMPLES=20000 pytest tests/exporters -k fuzz`` tries that many inputs in each test instead of 100.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# A slow machine is no finding.
unhurried = settings(
    deadline=None,
    max_examples=int(os.environ.get("VAF_FUZZ_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow],
)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner))


def cut_and_changed(sample: bytes) -> st.SearchStrategy[bytes]:
    """Return the sample with a piece replaced by other bytes, as a broken writer or an attacker would."""
    place = st.integers(0, len(sample))
    return st.builds(lambda i, j, new: sample[: min(i, j)] + new + sample[max(i, j) :], place, place, st.binary())
