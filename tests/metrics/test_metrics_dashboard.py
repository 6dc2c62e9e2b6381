"""The guide tells of every metric; what asks for them is in tests/deploy."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Status
from read_metrics import Read

from audio_server.device.live_channel import LiveChannel
from audio_server.live.metrics import readings
from audio_server.metrics.shared_registry import SharedRegistry

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/operating.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/audio-server.json").read_text())


@pytest.fixture(scope="module")
def names() -> set[str]:
    """All names that a query may have."""
    shared_registry = SharedRegistry()
    metrics = shared_registry.row()
    metrics.call_ended("/", Status.OK)
    read = Read(shared_registry.text(partial(readings, [LiveChannel("radio")])))
    return {name for name, _ in read.samples}


def test_every_family_is_in_the_guide(names: set[str]) -> None:
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    told = {name for name in ours if name.removeprefix("audio_server_") in GUIDE}
    assert told == ours


def test_panels_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
