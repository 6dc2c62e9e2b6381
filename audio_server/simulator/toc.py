"""How long an Opus packet is, from its first bytes (RFC 6716, sections 3.1 and 3.2)."""

from __future__ import annotations

_SILK_MS = (10.0, 20.0, 40.0, 60.0)
_HYBRID_MS = (10.0, 20.0)
_CELT_MS = (2.5, 5.0, 10.0, 20.0)
_MAX_FRAME_BYTES = 1275


def packet_fault(data: bytes) -> str | None:
    """Return the reason for which `data` is not one mono Opus packet of 20 ms, or None if it is.

    Judges the framing only: the content of the frames is for a decoder.
    """
    if not data:
        return "is empty"
    if data[0] & 0x04:
        return "is stereo"
    count = _frame_count(data)
    if count is None:
        return "is not framed as Opus"
    length_ms = count * _frame_ms(data[0] >> 3)
    if length_ms != 20:
        return f"lasts {length_ms:g} ms, not 20 ms"
    return None


def _frame_ms(config: int) -> float:
    if config < 12:
        return _SILK_MS[config % 4]
    if config < 16:
        return _HYBRID_MS[config % 2]
    return _CELT_MS[config % 4]


def _frame_count(data: bytes) -> int | None:
    """How many frames the packet announces; None if its length contradicts the code."""
    code, payload = data[0] & 0x03, data[1:]
    if code == 0:
        return 1 if len(payload) <= _MAX_FRAME_BYTES else None
    if code == 1:
        return 2 if len(payload) % 2 == 0 and len(payload) <= 2 * _MAX_FRAME_BYTES else None
    if code == 2:
        return 2 if _fits_first_of_two(payload) else None
    return (payload[0] & 0x3F) or None if payload else None


def _fits_first_of_two(payload: bytes) -> bool:
    """Code 2: the first frame's length (one or two bytes) must lie within the packet."""
    if not payload:
        return False
    first, used = payload[0], 1
    if first >= 252:
        if len(payload) < 2:
            return False
        first, used = first + 4 * payload[1], 2
    return used + first <= len(payload) and len(payload) - used - first <= _MAX_FRAME_BYTES
