"""A terminal for tests."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The far and the near end of a terminal."""
    far, near = pty.openpty()
    yield far, near
    os.close(near)
    os.close(far)
