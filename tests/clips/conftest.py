"""What the tests of clips share."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository_kit import FILES, Players, sound

from audio_server.clips.repository import Repository, open_repository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for clips with none in it yet."""
    (tmp_path / "clips").mkdir()
    return tmp_path / "clips"


@pytest.fixture
def players() -> Players:
    return Players()


@pytest.fixture
async def repository(folder: Path, players: Players) -> Repository:
    for name, packets in FILES.items():
        (folder / name).write_bytes(sound(packets))
    repository = await open_repository(folder, folder.parent / "cache", max_upload_mib=1)
    repository.used_by(players.use)
    return repository
