"""Folders of clips for groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from group_folders import MakeFolder

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Makes a folder with clips of so many packets, by the stems of their names."""

    def make(name: str, **clips: int) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for stem, packets in clips.items():
            (folder / f"{stem}.opus").write_bytes(opus_bytes([SILENCE] * packets))
        return folder

    return make
