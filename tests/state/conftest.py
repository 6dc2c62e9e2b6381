"""A folder for a state file, and what a server says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state file will be; its folder is not there yet."""
    return tmp_path / "data" / "state.db"


@pytest.fixture
def logged():
    """What is logged while the test runs."""
    with capture_logs() as entries:
        yield entries
