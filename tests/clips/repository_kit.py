"""What is on a shelf, what is brought to it, and whoever plays it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import trio

from audio_server.clips.clip import Clip
from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

FILES = {"00-home.opus": 3, "01-bell.opus": 5, "02-note.opus": 7}


def sound(packets: int) -> bytes:
    return opus_bytes([SILENCE] * packets)


async def body(data: bytes, piece: int = 100) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]


class Players:
    """Whoever plays clips, and is told of them."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    async def use(self, clips: Sequence[Clip]) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append([f"{clip.name} {clip.packets}" for clip in clips])
