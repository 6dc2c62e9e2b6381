"""How loud a clip is from moment to moment, to draw its waveform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.opus import PACKET_SAMPLES
from audio_server.wire.audio import PACKET_MS

PEAK_MS = 5
"""The highest sample of so many milliseconds is kept of a clip, as a byte."""

POINTS_MAX = 4000

_FULL_SCALE = 32_768
_PER_PACKET = PACKET_MS // PEAK_MS
_PEAK_SAMPLES = PACKET_SAMPLES // _PER_PACKET


def peaks(clip: Clip, points: int, key: str, cache: Cache) -> list[float]:
    """The clip in so many parts of one length: how far each goes from silence, 0 to 1.

    Blocks: the first time that a clip is asked for it is decoded, and the result is cached under
    its `key`. Raises `ValueError` unless there are 1 to `POINTS_MAX` points.
    """
    if not 1 <= points <= POINTS_MAX:
        raise ValueError(f"a waveform has 1 to {POINTS_MAX} points")
    name = f"{key}.peaks"
    fine = cache.read(name)
    if fine is None or len(fine) != clip.packets * _PER_PACKET:
        fine = bytes(_fine(clip))
        cache.write(name, fine)
    return [round(part / 255, 3) for part in _coarse(fine, points)]


def _coarse(fine: Sequence[int], points: int) -> Iterator[int]:
    for index in range(points):
        start = index * len(fine) // points
        stop = (index + 1) * len(fine) // points
        yield max(fine[start : max(stop, start + 1)])


def _fine(clip: Clip) -> Iterator[int]:
    # FFmpeg is loaded by those who use it.
    from audio_server.clips.opus_decoder import OpusDecoder

    decoder = OpusDecoder()
    for data in clip.sound():
        samples = memoryview(decoder.decode(data)).cast("h")
        for start in range(0, PACKET_SAMPLES, _PEAK_SAMPLES):
            part = samples[start : start + _PEAK_SAMPLES]
            yield min(255, max(max(part), -min(part)) * 256 // _FULL_SCALE)
