"""Which bytes are one Opus packet of 20 ms, mono (RFC 6716, section 3)."""

from __future__ import annotations

import pytest
from opus_sound import tone

from audio_server.simulator.toc import packet_fault


def toc(config: int, code: int, *, stereo: bool = False) -> int:
    return config << 3 | stereo << 2 | code


@pytest.mark.parametrize(
    "data",
    [
        bytes([toc(1, 0), 1]),  # SILK, 20 ms
        bytes([toc(0, 1), 1, 1]),  # SILK, 10 ms twice
        bytes([toc(13, 0), 1]),  # hybrid, 20 ms
        bytes([toc(31, 0)]),  # CELT, 20 ms, an empty frame: nothing was sent
        bytes([toc(30, 2), 1, 5, 6]),  # CELT, 10 ms twice, of different sizes
        bytes([toc(30, 2), 252, 1, *bytes(256), 7]),  # a first size of two bytes
        bytes([toc(28, 3), 8, *bytes(8)]),  # CELT, 2.5 ms eight times
        *tone(3),
    ],
)
def test_packets_of_20_ms(data: bytes) -> None:
    assert packet_fault(data) is None


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "is empty"),
        (bytes([toc(31, 0, stereo=True), 1]), "is stereo"),
        (bytes([toc(0, 0), 1]), "lasts 10 ms, not 20 ms"),
        (bytes([toc(3, 0), 1]), "lasts 60 ms, not 20 ms"),
        (bytes([toc(12, 0), 1]), "lasts 10 ms, not 20 ms"),
        (bytes([toc(28, 0), 1]), "lasts 2.5 ms, not 20 ms"),
        (bytes([toc(31, 1), 1, 1]), "lasts 40 ms, not 20 ms"),
        (bytes([toc(31, 0), *bytes(1276)]), "is not framed as Opus"),
        (bytes([toc(30, 1), 1, 2, 3]), "is not framed as Opus"),
        (bytes([toc(30, 2)]), "is not framed as Opus"),
        (bytes([toc(30, 2), 9, 1]), "is not framed as Opus"),
        (bytes([toc(30, 2), 252]), "is not framed as Opus"),
        (bytes([toc(31, 3)]), "is not framed as Opus"),
        (bytes([toc(31, 3), 0]), "is not framed as Opus"),
    ],
)
def test_anything_else_is_named(data: bytes, fault: str) -> None:
    assert packet_fault(data) == fault
