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

PACKET_MAX_SAMPLES = 5760
"""120 ms, the longest packet (RFC 6716, section 3.4, R5)."""

FRAME_MAX_BYTES = 1275
"""The largest frame (RFC 6716, section 3.4, R2)."""

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


def is_well_formed(packet: bytes) -> bool:
    """Whether the frames of a packet are as RFC 6716, section 3.4, has them (R1 to R7): decoders
    refuse all others. Whether a frame decodes well is still for a decoder to say."""
    if not packet or packet_samples(packet) > PACKET_MAX_SAMPLES:
        return False
    code, rest = packet[0] & 0x03, packet[1:]
    if code == 0:
        return len(rest) <= FRAME_MAX_BYTES
    if code == 1:
        return len(rest) % 2 == 0 and len(rest) // 2 <= FRAME_MAX_BYTES
    if code == 2:
        return _fits(rest, 1)
    return _is_counted(rest)


def _is_counted(rest: bytes) -> bool:
    """Whether a packet of any number of frames is whole, after its first byte."""
    if not rest or not (count := rest[0] & 0x3F):
        return False
    is_vbr, has_padding, body = rest[0] & 0x80, rest[0] & 0x40, rest[1:]
    padding = 0
    while has_padding:
        if not body:
            return False
        more, body = body[0], body[1:]
        padding += min(more, 254)
        has_padding = more == 255
    if padding > len(body):
        return False
    body = body[: len(body) - padding]
    if is_vbr:
        return _fits(body, count - 1)
    return len(body) % count == 0 and len(body) // count <= FRAME_MAX_BYTES


def _fits(body: bytes, sizes: int) -> bool:
    """Whether there is room for frames of the sizes that come first, and for the last one."""
    taken = at = 0
    for _ in range(sizes):
        if at >= len(body):
            return False
        size, at = body[at], at + 1
        if size >= 252:
            if at >= len(body):
                return False
            size, at = size + 4 * body[at], at + 1
        taken += size
    return 0 <= len(body) - at - taken <= FRAME_MAX_BYTES


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
