"""The structure of Opus packets: what is taken here a decoder takes, too."""

from __future__ import annotations

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_server.clips.opus import is_well_formed
from audio_server.clips.opus_decoder import opus_decoder


def is_decoded(packet: bytes) -> bool:
    try:
        opus_decoder().decode(av.Packet(packet))
    except av.FFmpegError:
        return False
    return True


@settings(max_examples=500)
@given(st.binary(min_size=1, max_size=40))
def test_a_packet_that_is_taken_is_decoded(packet: bytes) -> None:
    if is_well_formed(packet):
        assert is_decoded(packet)


@pytest.mark.parametrize(
    ("packet", "is_right"),
    [
        (b"", False),
        (b"\xf8", True),
        (b"\xf8" + bytes(1275), True),
        (b"\xf8" + bytes(1276), False),
        (b"\xf1abc", False),
        (b"\xf1abcd", True),
        (b"\xf2", False),
        (b"\xf2\x02abc", True),
        (b"\xf2\x04abc", False),
        (b"\xf2\xfc", False),
        (b"\xf3", False),
        (b"\xf3\x00", False),
        (b"\x5b\x24", False),
        (b"\xf3\x0c", True),
        (b"\xf3\x0d", False),
        (b"\xf3\x02abcd", True),
        (b"\xf3\x02abc", False),
        (b"\xf3\x82\x01abc", True),
        (b"\xf3\x82\x09abc", False),
        (b"\xf3\x42\x02abcd", True),
        (b"\xf3\x42\x09abcd", False),
        (b"\xf3\x42\xff", False),
    ],
)
def test_the_rules(packet: bytes, is_right: bool) -> None:
    assert is_well_formed(packet) is is_right
