"""Makes the chime before announcements: `python clips/make_chime.py`.

Two tones of a bell, a third apart. Nothing here is random: the same libopus makes the same bytes.
"""

from __future__ import annotations

import math
from array import array
from pathlib import Path

import av

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.opus import RATE_HZ

FILE = Path(__file__).parents[1] / "audio_server" / "clips" / "chime.opus"
SECONDS = 1.2
FADE_S = 0.05
PEAK = 9_500
TONES = [(784.0, 0.0), (622.25, 0.42)]
"""Pitch in Hz, and when it is struck."""
PARTIALS = [(1, 1.0, 0.0), (2, 0.35, 6.0), (3, 0.15, 9.0)]
"""Multiple of the pitch, how loud it is, and how fast it dies away."""


def _tone(hz: float, at_s: float) -> float:
    if at_s < 0:
        return 0.0
    envelope = min(1.0, at_s / 0.005) * math.exp(-4.2 * at_s)
    return envelope * sum(
        loud * math.exp(-decay * at_s) * math.sin(math.tau * multiple * hz * at_s)
        for multiple, loud, decay in PARTIALS
    )


def _sample(number: int, samples: int) -> int:
    now_s = number / RATE_HZ
    fade = min(1.0, (samples - number) / (FADE_S * RATE_HZ))
    return round(PEAK * fade * sum(_tone(hz, now_s - start_s) for hz, start_s in TONES))


def main() -> None:
    samples = round(SECONDS * RATE_HZ)
    frame = av.AudioFrame(format="s16", layout="mono", samples=samples)
    frame.sample_rate = RATE_HZ
    frame.planes[0].update(array("h", (_sample(n, samples) for n in range(samples))).tobytes())
    encoder = OpusEncoder()
    FILE.write_bytes(opus_bytes([*encoder.push(frame), *encoder.finish()]))


if __name__ == "__main__":
    main()
