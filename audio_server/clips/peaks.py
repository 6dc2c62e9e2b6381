"""How loud a clip is from moment to moment, to draw its waveform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.decoder import open_decoder
from audio_server.clips.records import LEVELS_A_PACKET

POINTS_MAX = 4000


async def peaks(clip: Clip, points: int, key: str, cache: Cache) -> list[float]:
    """The clip in so many parts of one length: how far each goes from silence, 0 to 1.

    The first time that a clip is asked for it is decoded, and the result is cached under its `key`.
    Raises `ValueError` unless there are 1 to `POINTS_MAX` points, and `ClipError` where the clip
    cannot be decoded now.
    """
    if not 1 <= points <= POINTS_MAX:
        raise ValueError(f"a waveform has 1 to {POINTS_MAX} points")
    name = f"{key}.peaks"
    fine = await trio.to_thread.run_sync(cache.read, name)
    if fine is None or len(fine) != clip.packets * LEVELS_A_PACKET:
        packets = await trio.to_thread.run_sync(lambda: list(clip.sound()))
        async with open_decoder() as decoder:
            fine = await decoder.levels(clip.name, packets)
        await trio.to_thread.run_sync(cache.write, name, fine)
    return [round(part / 255, 3) for part in _coarse(fine, points)]


def _coarse(fine: Sequence[int], points: int) -> Iterator[int]:
    for index in range(points):
        start = index * len(fine) // points
        stop = (index + 1) * len(fine) // points
        yield max(fine[start : max(stop, start + 1)])
