"""The numbers in the guide for firmware are those of the server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from audio_server.clips.opus import PACKET_MAX_BYTES
from audio_server.device.leds import ERROR, IDLE, MODE_COLOURS, PAUSED, PLAYING
from audio_server.rpc.framing import frame_message
from audio_server.settings import Settings
from audio_server.settings.values import LEAD_MS_MAX
from audio_server.wire.comms_pb2 import AudioPacket
from audio_server.wire.leds import GET_STATE, LEDS, frame_leds

ROOT = Path(__file__).parents[2]
GUIDE = " ".join((ROOT / "docs" / "firmware.md").read_text().split())
PREFIX_BYTES = len(frame_message(b""))


def hex_of(colour: int) -> str:
    return f"`#{colour >> 8:06X}`"


def largest_packet() -> int:
    data = bytes(PACKET_MAX_BYTES)
    return AudioPacket(is_start=True, is_end=True, data=data).ByteSize()


@pytest.mark.parametrize(
    "said",
    [
        f"| largest `data` | {PACKET_MAX_BYTES:,} bytes",
        f"an `AudioPacket` of {largest_packet():,} bytes",
        f"a `DeviceStatusRequest` has {len(frame_leds((0xFFFFFFFF,) * LEDS)) - PREFIX_BYTES}",
        f"{Settings().lead_ms} ms are {Settings().lead_ms // 20} packets",
        f"`lead_ms`, {Settings().lead_ms} by default, {LEAD_MS_MAX:,} at most",
        f"idle {hex_of(IDLE)}, playing {hex_of(PLAYING)}",
        f"waits for the device {hex_of(PAUSED)}, an error {hex_of(ERROR)}",
        f"shape in {hex_of(MODE_COLOURS[0])} for modes 1 to 4",
        ", ".join(map(hex_of, MODE_COLOURS[1:-1])) + f" and {hex_of(MODE_COLOURS[-1])}",
        f"is `{GET_STATE.hex(' ')}`: the prefix",
    ],
)
def test_a_number(said: str) -> None:
    assert said in GUIDE


def test_the_device_in_c_has_room_for_the_largest_packet() -> None:
    options = (ROOT / "docs/examples/c/comms.options").read_text()
    assert re.findall(r"AudioPacket.data max_size:(\d+)", options) == [str(PACKET_MAX_BYTES)]
