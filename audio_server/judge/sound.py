"""The sound of the judge: a soft hiss, whose packets are large enough to fill a window."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random

from av.audio.frame import AudioFrame

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.opus import RATE_HZ

LENGTH_S = 5
BIT_RATE_BPS = 256_000
"""160 KB in 5 s: more than twice the window with which HTTP/2 begins (65,535 bytes)."""

_LOUDNESS = 600  # of 32,767
_BLOCK = RATE_HZ // 10


def make_hiss() -> Sequence[bytes]:
    """Return the Opus packets of `LENGTH_S` seconds; blocks for some tens of milliseconds."""
    random, encoder = Random(1), OpusEncoder(BIT_RATE_BPS)
    packets: list[bytes] = []
    for _ in range(LENGTH_S * RATE_HZ // _BLOCK):
        samples = array("h", (random.randint(-_LOUDNESS, _LOUDNESS) for _ in range(_BLOCK)))
        frame = AudioFrame(format="s16", layout="mono", samples=_BLOCK)
        frame.sample_rate = RATE_HZ
        frame.planes[0].update(samples.tobytes())
        packets += encoder.push(frame)
    return packets + encoder.finish()
