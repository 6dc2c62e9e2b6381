"""What tests of the fleet share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog.testing


@pytest.fixture
def logs() -> Iterator[Any]:
    """What is logged while the test runs."""
    with structlog.testing.capture_logs() as lines:
        yield lines
