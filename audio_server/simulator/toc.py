"""Whether an audio packet is framed as the contract has it (RFC 6716, sections 3.1 and 3.2)."""

from __future__ import annotations

from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ, packet_samples

_MAX_FRAME_BYTES = 1275


def packet_fault(data: bytes) -> str | None:
    """Return the reason for which `data` is not one mono Opus packet of 20 ms, or None if it is.

    Judges the framing only: the content of the frames is for a decoder.
    """
    if not data:
        return "is empty"
    if data[0] & 0x04:
        return "is stereo"
    samples = packet_samples(data)
    if not samples or not _fits(data[0] & 0x03, data[1:]):
        return "is not framed as Opus"
    if samples != PACKET_SAMPLES:
        return f"lasts {samples * 1000 / RATE_HZ:g} ms, not 20 ms"
    return None


def _fits(code: int, payload: bytes) -> bool:
    """Whether frames that are counted by this code can have the length of the packet."""
    if code == 0:
        return len(payload) <= _MAX_FRAME_BYTES
    if code == 1:
        return len(payload) % 2 == 0 and len(payload) <= 2 * _MAX_FRAME_BYTES
    return code == 3 or _fits_first_of_two(payload)


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
