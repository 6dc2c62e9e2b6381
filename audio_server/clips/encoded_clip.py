"""The kept form of a sound file: the packets to send, and the properties of their source."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a clip, as it is in its file."""

    codec: str
    rate_hz: int
    channels: int
    passed_through: bool
    """True where the packets are the file's own, bit for bit."""


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """Opus packets (48 kHz, mono, 20 ms each) and the source that they come from."""

    packets: list[bytes] = field(repr=False)
    source: Source
