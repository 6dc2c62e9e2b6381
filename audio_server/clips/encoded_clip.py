"""The kept form of a sound file: the packets to send, and the properties of their source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The source of a clip, as it is in its file. The bounds are those of what is read back."""

    codec: Annotated[str, msgspec.Meta(pattern="^[a-z0-9_]{1,32}$")]
    rate_hz: Count
    channels: Count
    passed_through: bool
    """True where the packets are the file's own, bit for bit."""


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """Opus packets (48 kHz, mono, 20 ms each) and the source that they come from."""

    packets: list[bytes] = field(repr=False)
    source: Source
