"""Opus packets written as an Ogg Opus file (RFC 7845)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

import av

from audio_server.clips.opus import PACKET_SAMPLES, RATE_HZ

PRE_SKIP_SAMPLES = 312
"""What libopus answers late, and a player of files drops (a device does not)."""


def write_opus(file: BinaryIO, packets: Sequence[bytes]) -> None:
    """Write the packets (48 kHz, mono, 20 ms each) bit for bit; `file` stays open.

    The same packets make the same file: no random serial number, no version of a library.
    """
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        container.start_encoding()
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = Fraction(1, RATE_HZ)
            packet.pts = packet.dts = index * PACKET_SAMPLES - PRE_SKIP_SAMPLES
            packet.duration = PACKET_SAMPLES
            container.mux(packet)
