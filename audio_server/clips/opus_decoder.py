"""Opus packets as sound: signed 16-bit little-endian PCM, 48 kHz, mono."""

from __future__ import annotations

import av
from av.audio.codeccontext import AudioCodecContext

from audio_server.clips.opus import PACKET_SAMPLES

PACKET_BYTES = 2 * PACKET_SAMPLES
QUIET = bytes(PACKET_BYTES)
"""20 ms in which nothing sounds."""


def opus_decoder(head: bytes | None = None) -> AudioCodecContext:
    """Return a decoder of mono; with a `head` it applies the gain and the pre-skip of that."""
    decoder = av.AudioCodecContext.create("libopus", "r")
    assert isinstance(decoder, AudioCodecContext)
    if head is None:
        decoder.layout = "mono"
    else:
        decoder.extradata = head
    return decoder


class OpusDecoder:
    """Decodes the packets of one device, in order."""

    def __init__(self) -> None:
        self._codec = opus_decoder()

    def decode(self, data: bytes) -> bytes:
        """One packet as PCM; quiet if it is no Opus packet."""
        if not data:
            return QUIET
        try:
            frames = self._codec.decode(av.Packet(data))
        except av.FFmpegError:
            return QUIET
        return b"".join(bytes(frame.planes[0])[: 2 * frame.samples] for frame in frames)
