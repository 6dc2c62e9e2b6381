"""The dashboard and the guide speak of metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Status
from read_metrics import Read

from audio_server.metrics.board import Board

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/operating.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/audio-server.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = GUIDE.partition("```promql\n")[2].partition("```")[0].splitlines()


@pytest.fixture(scope="module")
def names() -> set[str]:
    """All names that a query may have."""
    board = Board()
    metrics = board.row()
    metrics.call_ended("/", Status.OK)
    read = Read(board.text())
    return {name for name, _ in read.samples}


@pytest.mark.parametrize("query", [*EXPRESSIONS, *ALERTS])
def test_what_is_asked_for_is_there(query: str, names: set[str]) -> None:
    asked = set(re.findall(r"\b(?:audio_server|process)_[a-z_]+", query))
    assert asked
    assert asked <= names
    assert query.count("(") == query.count(")")


def test_every_family_is_in_the_guide(names: set[str]) -> None:
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    told = {name for name in ours if name.removeprefix("audio_server_") in GUIDE}
    assert told == ours


def test_panels_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
