"""Where these tests write their configuration."""

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "autoscaler.yaml"
