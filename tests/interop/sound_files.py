"""Sound files for the servers under test, made here, so that their packets are known.

Noise makes every packet different from all others: a packet tells its place in its clip.
"""

from __future__ import annotations

import math
import random
import wave
from array import array
from pathlib import Path

import av
from av.audio.frame import AudioFrame

RATE_HZ = 48_000
PACKET_SAMPLES = 960
HELD_BACK = 312  # samples that libopus answers late; they make the last packet whole


def write_noise(path: Path, packets: int, *, bit_rate_bps: int = 64_000) -> list[bytes]:
    """An Ogg Opus file of mono packets of 20 ms; returns them as they are in the file."""
    samples = random.Random(path.name)
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.bit_rate = bit_rate_bps
        for start in range(0, packets * PACKET_SAMPLES - HELD_BACK, PACKET_SAMPLES):
            length = min(PACKET_SAMPLES, packets * PACKET_SAMPLES - HELD_BACK - start)
            container.mux(stream.encode(_noise(samples, start, length)))
        container.mux(stream.encode(None))
    return packets_of(path)


def _noise(samples: random.Random, start: int, length: int) -> AudioFrame:
    frame = AudioFrame("s16", "mono", length)
    frame.sample_rate = RATE_HZ
    frame.pts = start
    frame.planes[0].update(samples.randbytes(frame.planes[0].buffer_size))
    return frame


def packets_of(path: Path) -> list[bytes]:
    """The packets of a sound file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux() if packet.size]


def write_tone(path: Path, seconds: float, *, hertz: float = 440.0, rate_hz: int = 44_100) -> None:
    """A stereo WAV file of a tone, which the server has to make into Opus."""
    count = round(seconds * rate_hz)
    tone = [round(12_000 * math.sin(2 * math.pi * hertz * n / rate_hz)) for n in range(count)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(array("h", (sample for value in tone for sample in (value, value))))


def decode(packets: list[bytes]) -> list[list[int]]:
    """The samples of each packet, decoded one after the other as a device does it.

    Raises what libopus raises for a packet that is none.
    """
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = RATE_HZ
    decoder.layout = "mono"
    return [_samples(decoder.decode(av.Packet(packet))) for packet in packets]


def _samples(frames: list[AudioFrame]) -> list[int]:
    assert all((f.format.name, f.layout.name, f.sample_rate) == SHAPE for f in frames), frames
    planes = (memoryview(frame.planes[0])[: frame.samples * 2].cast("h") for frame in frames)
    return [sample for plane in planes for sample in plane]


SHAPE = ("s16", "mono", RATE_HZ)
