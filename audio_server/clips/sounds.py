"""Sounds that are no clips of a folder: those of announcements, and the chime before them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO, Final

import trio

from audio_server.clips.clip import Clip
from audio_server.clips.decoder import open_decoder
from audio_server.clips.errors import ClipTooLarge
from audio_server.clips.ogg import read_pages
from audio_server.wire.audio import PACKET_MS

SOUND_MAX_S: Final = 600
"""How long the sound of an announcement may be that is no clip, in seconds."""

_CHIME: Final = Path(__file__).with_name("chime.opus")
_PACKETS_MAX: Final = SOUND_MAX_S * 1000 // PACKET_MS


async def sound_of(name: str, file: BinaryIO, *, loudness: int | None = None) -> Clip:
    """Return the sound of an open file of the system, of any common format. With `loudness`, in
    LUFS, sound that is encoded is brought to it.

    Raises `ClipError` for one that cannot be played, and `ClipTooLarge` for one that is too long.
    """
    async with open_decoder(loudness) as decoder:
        encoded = await decoder.ingest(name, file, max_packets=_PACKETS_MAX)
    return await trio.to_thread.run_sync(Clip.from_packets, name, encoded.packets)


async def with_chime(sound: Clip) -> Clip:
    """Return a chime and a sound as one: the same takes, LEDs and reports are for both."""
    return await trio.to_thread.run_sync(_with_chime, sound)


def _with_chime(sound: Clip) -> Clip:
    if sound.packets > _PACKETS_MAX:
        raise ClipTooLarge(sound.name, f"is longer than {SOUND_MAX_S} s: give it without a chime")
    return Clip.from_packets(sound.name, [*chime_packets(), *sound.sound()])


@cache
def chime_packets() -> Sequence[bytes]:
    """Return the packets of the chime, two tones of a bell. Reads its file, once."""
    with _CHIME.open("rb") as file:
        pages = list(read_pages(file))
    packets: list[bytes] = []
    for page in pages[2:]:
        at, size = 0, 0
        for lace in page.laces:
            size += lace
            if lace < 255:
                packets.append(page.body[at : at + size])
                at, size = at + size, 0
    return packets
