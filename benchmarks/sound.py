"""The clip that every server plays: one long tone, as 20 ms Opus packets of 160 bytes."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from pathlib import Path

import av

_RATE = 48_000
_PACKET_SAMPLES = 960
_BIT_RATE = 64_000
_SHORT_S = 2.0
_MODES = 5


def make_clips(folder: Path, seconds: float) -> Path:
    """Write a folder of clips for our server, and the first clip's packets for the peers.

    Mode 0 is the clip of the benchmark; the others are short, because the contract asks for
    five. Returns the file of packets: each with its length in front, 16 bits, big-endian.
    """
    clips = folder / "clips"
    clips.mkdir(parents=True)
    packets = _encode(clips / "0.opus", seconds)
    for mode in range(1, _MODES):
        _encode(clips / f"{mode}.opus", _SHORT_S)
    path = folder / "packets.bin"
    path.write_bytes(b"".join(struct.pack(">H", len(packet)) + packet for packet in packets))
    return path


def read_packets(path: Path) -> list[bytes]:
    """The Opus packets that `make_clips` wrote."""
    data, packets, begin = path.read_bytes(), [], 0
    while begin < len(data):
        (size,) = struct.unpack_from(">H", data, begin)
        packets.append(data[begin + 2 : begin + 2 + size])
        begin += 2 + size
    return packets


def _encode(path: Path, seconds: float) -> list[bytes]:
    """Encode the tone at a constant bit rate; returns the packets in the file."""
    packets: list[bytes] = []
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=_RATE, layout="mono")
        stream.bit_rate = _BIT_RATE
        stream.options = {"vbr": "off", "frame_duration": "20"}
        for frame in (*_tone(int(seconds * _RATE / _PACKET_SAMPLES)), None):
            for packet in stream.encode(frame):
                packets.append(bytes(packet))
                container.mux(packet)
    return packets


def _tone(frames: int) -> Iterator[av.AudioFrame]:
    step = 2 * math.pi * 440 / _RATE
    wave = array("h", (int(8000 * math.sin(step * n)) for n in range(_PACKET_SAMPLES * 5)))
    for index in range(frames):
        frame = av.AudioFrame(format="s16", layout="mono", samples=_PACKET_SAMPLES)
        frame.sample_rate, frame.pts = _RATE, index * _PACKET_SAMPLES
        begin = index % 5 * _PACKET_SAMPLES
        frame.planes[0].update(wave[begin : begin + _PACKET_SAMPLES].tobytes())
        yield frame
