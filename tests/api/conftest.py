"""An API for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.facility import ApiUnderTest


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiUnderTest]:
    """One that has a rule for the alert of the samples."""
    made = ApiUnderTest(tmp_path)
    yield made
    made.client.close()
    made.store.close()
