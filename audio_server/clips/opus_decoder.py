"""Opus packets as sound: signed 16-bit little-endian PCM, 48 kHz, mono."""

from __future__ import annotations

import av

from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ

PACKET_BYTES = 2 * PACKET_SAMPLES
QUIET = bytes(PACKET_BYTES)
"""20 ms in which nothing sounds."""


class OpusDecoder:
    """Decodes the packets of one device, in order."""

    def __init__(self) -> None:
        self._codec = av.AudioCodecContext.create("libopus", "r")
        self._codec.sample_rate = RATE_HZ
        self._codec.layout = "mono"

    def decode(self, data: bytes) -> bytes:
        """One packet as PCM; quiet if it is no Opus packet."""
        if not data:
            return QUIET
        try:
            frames = self._codec.decode(av.Packet(data))
        except av.FFmpegError:
            return QUIET
        return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
