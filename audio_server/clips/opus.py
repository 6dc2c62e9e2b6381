"""The head of an Opus packet (RFC 6716, section 3.1).

The first byte, the TOC, holds a configuration (5 bits), a stereo flag and a code for
the number of frames that follow: 0 means one, 1 and 2 mean two, 3 means that the next byte
counts them in its low 6 bits.
"""

from __future__ import annotations

RATE_HZ = 48_000
"""The clock of Opus; every device decodes at this rate."""

PACKET_SAMPLES = 960
"""Samples in a packet of 20 ms, the only length that the server sends."""

PACKET_MAX_BYTES = 1276
"""A byte of head and the largest frame (RFC 6716, section 3.2.1). Encoders stay below that for
20 ms at any bit rate; a larger packet is padded, and only delays others."""

_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


def is_sendable(packet: bytes) -> bool:
    """Whether a device can be sent this packet as it is: mono, 20 ms in all, neither empty nor
    larger than `PACKET_MAX_BYTES`.

    Looks at the header only; whether the rest decodes is for a decoder to say.
    """
    is_mono_20_ms = packet_samples(packet) == PACKET_SAMPLES and not packet[0] & 0x04
    return is_mono_20_ms and len(packet) <= PACKET_MAX_BYTES


def packet_samples(packet: bytes) -> int:
    """How many samples at 48 kHz the packet decodes to; 0 where the header is not whole."""
    if not packet:
        return 0
    return _frame_count(packet) * _frame_samples(packet[0] >> 3)


def _frame_count(packet: bytes) -> int:
    code = packet[0] & 0x03
    if code < 3:
        return 1 if code == 0 else 2
    return packet[1] & 0x3F if len(packet) > 1 else 0


def _frame_samples(config: int) -> int:
    if config < 12:
        return _SILK_SAMPLES[config % 4]
    if config < 16:
        return _HYBRID_SAMPLES[config % 2]
    return _CELT_SAMPLES[config % 4]
