"""What is kept of a sound file: the packets to send, and what they were made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from audio_server.clips.clip import Source


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """Opus packets (48 kHz, mono, 20 ms each) and the source that they come from."""

    packets: list[bytes] = field(repr=False)
    source: Source
