"""Flags and variables that are only spoken of are there too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App

from audio_server.cli.app import app as server
from audio_server.cli.layers import VARIABLES
from audio_server.simulator.cli import app as device

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
ALWAYS = {"--help", "--version"}
OF_OTHERS = {"--smoke", "--bare", "--idle", "--nodes", "--build-arg"}
"""Of `python -m benchmarks` and of docker."""


def flags(app: App) -> Iterator[str]:
    """Those of a command and of all below it."""
    if app.default_command is not None:
        for argument in app.assemble_argument_collection():
            yield from argument.names
    for name in app:
        if not name.startswith("-"):
            yield from flags(app[name])


FLAGS = {*flags(server), *flags(device)} | ALWAYS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_flag_that_is_named_exists(document: Path) -> None:
    spans = re.findall(r"`((?:audio-(?:server|device) |--)[^`]*)`", document.read_text())
    named = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][\w.-]*", span)}
    assert named - FLAGS - OF_OTHERS == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_variable_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"`(AUDIO_SERVER_[A-Z_]+)", document.read_text()))
    assert named <= {*VARIABLES, "AUDIO_SERVER_"}


def test_there_are_flags_at_all() -> None:
    assert {"--port", "--limits.idle-s", "--sort", "--script"} <= FLAGS
    assert len(FLAGS) > 80
