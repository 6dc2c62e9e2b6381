"""What the tests of clips share."""

from __future__ import annotations

from pathlib import Path

import pytest
from shelf_kit import FILES, Players, sound

from audio_server.clips.shelf import Shelf, open_shelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for clips with none in it yet."""
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.fixture
def players() -> Players:
    return Players()


@pytest.fixture
async def shelf(folder: Path, players: Players) -> Shelf:
    for name, packets in FILES.items():
        (folder / name).write_bytes(sound(packets))
    shelf = await open_shelf(folder, folder.parent / "cache", max_upload_mib=1)
    shelf.used_by(players.use)
    return shelf
