"""Raw PCM, as recorders write it to a pipe, made into Opus packets while it comes."""

from __future__ import annotations

from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.mix import RATE_MAX_HZ, RATE_MIN_HZ

SAMPLE_BYTES = {"u8": 1, "s8": 1} | {
    f"{kind}{bits}{order}": bits // 8
    for kind, bits in (("s", 16), ("s", 24), ("s", 32), ("f", 32), ("f", 64))
    for order in ("le", "be")
}
"""The sample formats that are understood, and the size of a sample in each."""


_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""How this many channels are taken: as WAV files without a layout are."""


class RawEncoder:
    """Encodes raw PCM, interleaved, that comes in pieces of any size.

    `sample_format` is one of `SAMPLE_BYTES`; without `le` or `be` it is little-endian.
    Raises `ValueError`, with the reason, for an unknown format, rate or number of channels.
    """

    def __init__(self, *, rate_hz: int, channels: int, sample_format: str) -> None:
        codec = sample_format if sample_format in SAMPLE_BYTES else f"{sample_format}le"
        if codec not in SAMPLE_BYTES:
            known = ", ".join(SAMPLE_BYTES)
            raise ValueError(f"unknown sample format {sample_format!r} (known: {known})")
        if not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
            allowed = f"{RATE_MIN_HZ} to {RATE_MAX_HZ}"
            raise ValueError(f"a sample rate of {rate_hz} Hz is out of range ({allowed})")
        if not 1 <= channels <= len(_LAYOUTS):
            raise ValueError(f"{channels} channels are out of range (1 to {len(_LAYOUTS)})")
        self._decoder = cast(AudioCodecContext, av.CodecContext.create(f"pcm_{codec}", "r"))
        self._decoder.sample_rate = rate_hz
        self._decoder.layout = _LAYOUTS[channels - 1]
        self._frame_bytes = SAMPLE_BYTES[codec] * channels
        self._encoder = OpusEncoder()
        self._rest = b""

    def push(self, data: bytes) -> list[bytes]:
        """The packets that are ready after `data`."""
        data = self._rest + data
        whole = len(data) - len(data) % self._frame_bytes
        self._rest = data[whole:]
        if not whole:
            return []
        frames = self._decoder.decode(av.Packet(data[:whole]))
        return [packet for frame in frames for packet in self._encoder.push(frame)]

    def finish(self) -> list[bytes]:
        """The packets that were still held back; a sample that is not whole is dropped."""
        return self._encoder.finish()
