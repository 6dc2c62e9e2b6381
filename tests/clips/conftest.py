"""What the tests of clips share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for clips with none in it yet."""
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"
