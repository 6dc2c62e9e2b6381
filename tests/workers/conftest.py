"""What tests of workers share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest
import structlog
from worker_log import Line, Log


@pytest.fixture
def log() -> Iterator[Log]:
    """What this process logs during a test."""
    log = Log()

    def keep(_: object, level: str, line: Line) -> NoReturn:
        log.add({**line, "level": level})
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep])
    yield log
    structlog.configure(**before)
