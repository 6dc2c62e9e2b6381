"""Logs of a test, and the watch over them."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_tracebacks(logs: list[MutableMapping[str, Any]]) -> Iterator[None]:
    """Nothing a peer does is worth a traceback."""
    yield
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []
