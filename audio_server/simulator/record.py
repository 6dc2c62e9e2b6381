"""Recordings of a device's sound: bit for bit as Ogg Opus, or decoded as WAV."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path
from typing import Self

import av

from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ
from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.simulator.errors import CannotRecord
from audio_server.simulator.events import Event, PacketReceived
from audio_server.simulator.toc import packet_fault


class Recorder:
    """An observer that writes all takes one after the other, without the pauses between them.

    Packets that are no Opus packet of 20 ms have no place in either format and are left out.
    Closing it (it is a context manager) completes the file.
    """

    def __init__(self, path: Path) -> None:
        """Create the file. Raises `OSError` if that fails, `CannotRecord` for another suffix."""
        sinks: dict[str, type[_OpusSink | _WavSink]] = {".opus": _OpusSink, ".wav": _WavSink}
        if (kind := sinks.get(path.suffix.lower())) is None:
            raise CannotRecord(f"{path}: a recording is .opus or .wav")
        self._sink = kind(path)

    def __call__(self, at_s: float, event: Event) -> None:
        if isinstance(event, PacketReceived) and packet_fault(event.data) is None:
            self._sink.write(event.data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()


class _OpusSink:
    """Ogg Opus: FFmpeg's muxer round the packets as they are."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")  # by Python: its errors name the file
        self._container = av.open(self._file, "w", format="opus")
        self._stream = self._container.add_stream("libopus", rate=RATE_HZ)
        self._stream.layout = "mono"
        self._container.start_encoding()
        self._packets = 0

    def write(self, data: bytes) -> None:
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, RATE_HZ)
        packet.pts = packet.dts = self._packets * PACKET_SAMPLES
        packet.duration = PACKET_SAMPLES
        self._packets += 1
        self._container.mux(packet)

    def close(self) -> None:
        with self._file:
            self._container.close()


class _WavSink:
    def __init__(self, path: Path) -> None:
        self._decoder = OpusDecoder()
        self._file = path.open("wb")
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115 - closed with the recorder
        self._wave.setnchannels(1)
        self._wave.setsampwidth(2)
        self._wave.setframerate(RATE_HZ)

    def write(self, data: bytes) -> None:
        self._wave.writeframes(self._decoder.decode(data))

    def close(self) -> None:
        with self._file:
            self._wave.close()
