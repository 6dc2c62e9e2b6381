"""Sound for the tests of clips: made up, written in any format, and heard as a device hears it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from operator import mul
from pathlib import Path

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from audio_server.clips.clip import Clip
from audio_server.wire.comms_pb2 import AudioPacket

RATE_HZ = 48_000
DELAY = 312
"""Samples by which libopus comes late; a device, which knows of no pre-skip, hears them."""


def packets_for(samples: float) -> int:
    """How many packets a transcoded clip has that is made of this many samples at 48 kHz."""
    return math.ceil((samples + DELAY) / 960)


def chirp(rate_hz: int, length_s: float) -> list[float]:
    """A tone that climbs from 200 Hz to 3 kHz within 2 s: at a wrong lag nothing correlates."""
    moments = (index / rate_hz for index in range(round(rate_hz * length_s)))
    return [0.5 * math.sin(math.tau * (200 * t + 700 * t * t)) for t in moments]


def pcm_frame(samples: Sequence[float], rate_hz: int, layout: str) -> AudioFrame:
    """Samples (interleaved, -1 to 1) as FFmpeg has them."""
    frame = AudioFrame("s16", layout, len(samples) // av.AudioLayout(layout).nb_channels)
    frame.sample_rate = rate_hz
    frame.pts = 0
    frame.planes[0].update(array("h", (round(s * 32767) for s in samples)).tobytes())
    return frame


def write_sound(
    path: Path,
    samples: Sequence[float],
    *,
    codec: str = "pcm_s16le",
    rate_hz: int = RATE_HZ,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    title: str | None = None,
) -> Path:
    """Write a file; `samples` is one channel, which all channels of `layout` get."""
    channels = av.AudioLayout(layout).nb_channels
    interleaved = [sample for sample in samples for _ in range(channels)]
    with av.open(path, "w", format=container, options=container_options) as output:
        stream = output.add_stream(codec, rate_hz, options=options, layout=layout)
        assert isinstance(stream, AudioStream)
        if title is not None:
            output.metadata["title"] = stream.metadata["title"] = title
        output.start_encoding()
        if interleaved:
            output.mux(stream.encode(pcm_frame(interleaved, rate_hz, layout)))
            output.mux(stream.encode(None))
    return path


def heard(packets: Sequence[bytes]) -> list[float]:
    """What a device makes of the packets: libopus, 48 kHz, mono, all of it played."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.layout = "mono"
    sound: list[float] = []
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet)):
            assert (frame.format.name, frame.layout.name, frame.samples) == ("s16", "mono", 960)
            sound += array("h", bytes(frame.planes[0])[:1920])
    return [sample / 32768 for sample in sound]


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    """Correlation of two sounds over the length of the shorter one: 1 where they are alike."""
    size = min(len(one), len(other))
    energy = sum(map(mul, one[:size], one[:size])) * sum(map(mul, other[:size], other[:size]))
    return sum(map(mul, one, other)) / math.sqrt(energy) if energy else 0.0


def rms(sound: Sequence[float]) -> float:
    return math.sqrt(sum(map(mul, sound, sound)) / len(sound))


def sent(clip: Clip) -> list[AudioPacket]:
    """The messages of a clip, taken out of its gRPC frames."""
    frames = (clip.slice(index, index + 1) for index in range(clip.packets))
    return [AudioPacket.FromString(frame[5:]) for frame in frames]


def ogg_pages(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The pages of an Ogg file (RFC 3533, section 6): each one's header and body."""
    while data:
        assert data[:4] == b"OggS"
        head = data[: 27 + data[26]]
        end = len(head) + sum(head[27:])
        yield head, data[len(head) : end]
        data = data[end:]


def ogg_packets(data: bytes) -> list[bytes]:
    """The packets of an Ogg file, read without FFmpeg; the two headers of Opus come first."""
    packets = [b""]
    for head, body in ogg_pages(data):
        for size in head[27:]:
            packets[-1] += body[:size]
            body = body[size:]
            if size < 255:
                packets.append(b"")
    return packets[:-1]


def ogg_edited(data: bytes, old: bytes, new: bytes) -> bytes:
    """The file with bytes replaced by as many others, and checksums that are right again."""
    assert len(old) == len(new)
    assert data.count(old) == 1
    return b"".join(ogg_sealed(head, body) for head, body in ogg_pages(data.replace(old, new)))


def ogg_sealed(head: bytes, body: bytes) -> bytes:
    """The page with a checksum that is right."""
    blank = head[:22] + bytes(4) + head[26:]
    return head[:22] + _ogg_crc(blank + body).to_bytes(4, "little") + head[26:] + body


def _ogg_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc
