"""Decoded sound of any shape in, Opus packets that a device can be sent out."""

from __future__ import annotations

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from audio_server.clips.loudness import Leveller
from audio_server.clips.mix import MonoMixer
from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ

BIT_RATE_BPS = 64_000
"""Target for mono: transparent for speech and good for music, 160 bytes a packet."""

_OPTIONS = {
    "application": "audio",
    "vbr": "on",
    "compression_level": "10",
    "frame_duration": str(PACKET_SAMPLES * 1000 // RATE_HZ),
    # With DTX silence would become packets of one byte, which decoders may treat as lost.
    "dtx": "0",
}


class OpusEncoder:
    """Mixes down to mono, resamples to 48 kHz and encodes, frame by frame.

    libopus answers 312 samples (6.5 ms) late. A device plays everything that it decodes,
    so a clip starts with these 6.5 ms of near silence, and `finish` goes on until the last
    sample of the source is out. Thus `n` samples at 48 kHz become `ceil((n + 312) / 960)`
    packets: nothing is cut off, and silence fills the last one up.
    """

    def __init__(self, bit_rate_bps: int = BIT_RATE_BPS, *, gain_db: float = 0.0) -> None:
        """`gain_db` changes the volume, with a limiter; at 0 sound stays as it is."""
        self._leveller = Leveller(gain_db) if gain_db else None
        self._encoder = _open_encoder(bit_rate_bps)
        self._mixer: MonoMixer | None = None
        self._shape: object = None

    def push(self, frame: AudioFrame) -> list[bytes]:
        """The packets that are ready after `frame`. Its shape may differ from the last one's.

        Raises `Refused` for a shape that cannot be mixed down.
        """
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        ready = [] if shape == self._shape else self._drain_mixer()
        if self._mixer is None:
            self._mixer = MonoMixer(frame)
            self._shape = shape
        return ready + self._encode(self._mixer.push(frame))

    def finish(self) -> list[bytes]:
        """The packets that were still held back. Nothing may be pushed after this."""
        ready = self._drain_mixer()
        if self._leveller is not None:
            ready += self._encode_levelled(self._leveller.finish())
        # The encoder is opened by its first frame; before that there is nothing to flush.
        if self._encoder.is_open:
            ready += [bytes(packet) for packet in self._encoder.encode(None)]
        return ready

    def _drain_mixer(self) -> list[bytes]:
        mixer, self._mixer = self._mixer, None
        return self._encode(mixer.finish()) if mixer else []

    def _encode(self, frames: list[AudioFrame]) -> list[bytes]:
        if self._leveller is not None:
            frames = [levelled for frame in frames for levelled in self._leveller.push(frame)]
        return self._encode_levelled(frames)

    def _encode_levelled(self, frames: list[AudioFrame]) -> list[bytes]:
        return [bytes(packet) for frame in frames for packet in self._encoder.encode(frame)]


def _open_encoder(bit_rate_bps: int) -> AudioCodecContext:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate = RATE_HZ
    encoder.layout = "mono"
    encoder.format = "s16"
    encoder.bit_rate = bit_rate_bps
    encoder.options = _OPTIONS
    return encoder
