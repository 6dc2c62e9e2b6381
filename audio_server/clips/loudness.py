"""Loudness by EBU R128: measured over a whole clip, and evened by one gain and a limiter.

Sound is mono, 48 kHz and 16 bits here, as it is encoded.
"""

from __future__ import annotations

import math
from array import array
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.filter import Graph

from audio_server.clips.mix import MonoMixer
from audio_server.clips.opus import RATE_HZ

GAIN_MAX_DB: Final = 20.0
"""Sound that is quieter by more is noise, or is meant to be quiet."""

GAIN_LEAST_DB: Final = 0.05

SILENCE_LUFS: Final = -69.0
"""The gate of R128 hears nothing below -70."""

BLOCK_S: Final = 0.4
"""A block of R128. Shorter sound is measured as if it went on."""

_SHORT_SAMPLES = round(BLOCK_S * RATE_HZ)
_REPEATED_SAMPLES = RATE_HZ

_SHAPE = f"sample_rate={RATE_HZ}:sample_fmt=s16:time_base=1/{RATE_HZ}:channel_layout=mono"
_LIMIT = "limit=0.891:attack=5:release=50:level=0:latency=1"
"""A peak of -1 dB, in the place where it was."""


class LoudnessMeter:
    """Takes decoded sound of any shape, as an encoder does, and measures it."""

    def __init__(self) -> None:
        self._chain = _Chain(("ebur128", "metadata=1"))
        self._mixer: MonoMixer | None = None
        self._shape: object = None
        self._short = array("h")
        self._samples = 0
        self._lufs = -math.inf

    def push(self, frame: AudioFrame) -> int:
        """Measure a frame; return how many samples at 48 kHz it became. Raises `Refused` for a
        shape that cannot be mixed down."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        samples = 0 if shape == self._shape else self._drain()
        if self._mixer is None:
            self._mixer, self._shape = MonoMixer(frame), shape
        return samples + sum(map(self._measure, self._mixer.push(frame)))

    def finish(self) -> float:
        """Return the integrated loudness in LUFS; below `SILENCE_LUFS` for silence. Nothing may be
        pushed after this."""
        self._drain()
        if self._short:
            self._repeat()
        self._chain.push(None)
        self._read()
        return self._lufs

    def _drain(self) -> int:
        mixer, self._mixer = self._mixer, None
        return sum(map(self._measure, mixer.finish())) if mixer else 0

    def _measure(self, frame: AudioFrame) -> int:
        if self._samples < _SHORT_SAMPLES:
            self._short.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
        self._samples += frame.samples
        if self._samples >= _SHORT_SAMPLES:
            self._short = array("h")
        self._put(frame)
        return frame.samples

    def _repeat(self) -> None:
        for _ in range(math.ceil(_REPEATED_SAMPLES / len(self._short))):
            frame = AudioFrame("s16", "mono", len(self._short))
            frame.sample_rate = RATE_HZ
            frame.planes[0].update(self._short.tobytes())
            self._put(frame)

    def _put(self, frame: AudioFrame) -> None:
        frame.pts = None
        self._chain.push(frame)
        self._read()

    def _read(self) -> None:
        for measured in self._chain.ready():
            self._lufs = float(measured.metadata.get("lavfi.r128.I", self._lufs))


def gain_db(lufs: float, target_lufs: float) -> float:
    """Return the gain that brings sound of a loudness to the target; 0 for silence."""
    if not lufs > SILENCE_LUFS:
        return 0.0
    gain = min(target_lufs - lufs, GAIN_MAX_DB)
    return 0.0 if abs(gain) < GAIN_LEAST_DB else gain


class Leveller:
    """Changes the volume by one gain, and holds peaks below -1 dB. As many samples come out as go
    in, in step."""

    def __init__(self, gain: float) -> None:
        volume = ("volume", f"volume={gain:.3f}dB:precision=float")
        filters = (("aformat", "sample_fmts=flt"), volume, ("alimiter", _LIMIT))
        self._chain = _Chain(*filters, ("aformat", "sample_fmts=s16"))

    def push(self, frame: AudioFrame) -> list[AudioFrame]:
        """Return the sound that is ready after a frame."""
        frame.pts = None
        self._chain.push(frame)
        return self._chain.ready()

    def finish(self) -> list[AudioFrame]:
        """Return the rest. Nothing may be pushed after this."""
        self._chain.push(None)
        return self._chain.ready()


class _Chain:
    """Filters, one behind the other. It keeps their graph, which the filters do not."""

    def __init__(self, *filters: tuple[str, str]) -> None:
        self._graph = Graph()
        self._graph.threads = 1  # the process may start none
        self._in = last = self._graph.add("abuffer", _SHAPE)
        for name, options in (*filters, ("abuffersink", None)):
            following = self._graph.add(name, options)
            last.link_to(following)
            last = following
        self._out = last
        self._graph.configure()

    def push(self, frame: AudioFrame | None) -> None:
        """Put a frame in; None is the end."""
        self._in.push(frame)

    def ready(self) -> list[AudioFrame]:
        """Return the frames that have come out."""
        frames: list[AudioFrame] = []
        while True:
            try:
                frame = self._out.pull()
            except (av.BlockingIOError, av.EOFError):
                return frames
            assert isinstance(frame, AudioFrame)
            frames.append(frame)
