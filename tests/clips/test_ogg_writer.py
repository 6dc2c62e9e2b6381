"""An Ogg Opus file that we write: RFC 7845, and the same bytes for the same packets."""

from __future__ import annotations

from clip_sounds import ogg_packets, ogg_pages

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

PACKETS = [SILENCE + bytes([index]) * index for index in range(120)]


def test_headers_and_packets() -> None:
    head, tags, *packets = ogg_packets(opus_bytes(PACKETS))
    assert packets == PACKETS
    # Version, channels, pre-skip, original rate, gain, mapping family.
    assert head == b"OpusHead" + bytes([1, 1, 56, 1]) + (48_000).to_bytes(4, "little") + bytes(3)
    assert tags.startswith(b"OpusTags")


def test_every_sample_counts() -> None:
    """The last granule position is the number of samples, pre-skip and all."""
    *_, (head, _) = ogg_pages(opus_bytes(PACKETS))
    assert int.from_bytes(head[6:14], "little") == len(PACKETS) * 960
    assert head[5] & 4  # end of stream


def test_same_packets_make_the_same_file() -> None:
    assert opus_bytes(PACKETS) == opus_bytes(PACKETS)
