"""Real Opus packets to record and play."""

from __future__ import annotations

import math
from array import array

import av

from audio_server.simulator.events import PacketReceived

SAMPLES = 960


def tone(packets: int, *, amplitude: int = 8000) -> list[bytes]:
    """So many packets of a tone, or of silence, encoded by libopus."""
    codec = av.AudioCodecContext.create("libopus", "w")
    codec.sample_rate, codec.layout, codec.format = 48_000, "mono", "s16"
    found: list[bytes] = []
    for number in range(packets):
        found += [bytes(packet) for packet in codec.encode(_frame(number, amplitude))]
    return found[:packets]


def _frame(number: int, amplitude: int) -> av.AudioFrame:
    frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
    frame.sample_rate, frame.pts = 48_000, number * SAMPLES
    at = (number * SAMPLES + n for n in range(SAMPLES))
    wave = array("h", (round(amplitude * math.sin(n * math.tau * 440 / 48_000)) for n in at))
    frame.planes[0].update(wave.tobytes())
    return frame


def take(packets: list[bytes]) -> list[PacketReceived]:
    """The packets as a take."""
    last = len(packets) - 1
    return [PacketReceived(n == 0, n == last, data) for n, data in enumerate(packets)]
