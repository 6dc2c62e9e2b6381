"""What all peers share: their options, the messages they send, and the rules of a press."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from audio_server.wire.comms_pb2 import (
    AudioPacket,
    ButtonEvent,
    DeviceEvent,
    DeviceStatusRequest,
    DeviceStatusSet,
    RGBAColor,
)
from benchmarks.sound import read_packets

PACKET_S = 0.020
SILENCE = b"\xf8\xff\xfe"
CUT = AudioPacket(is_end=True, data=SILENCE)

_MODES = 5
_WHITE, _GREEN, _BLUE, _BLACK = 0xFFFFFFFF, 0x00FF00FF, 0x0000FFFF, 0x000000FF


@dataclass(frozen=True)
class Options:
    """How a peer is started. `tls` has the private key and the certificate."""

    clip: Sequence[AudioPacket]
    lead: int
    devices: int
    pause_s: float
    tls: tuple[Path, Path] | None


def read_options() -> Options:
    """Parse the command line. In bursts three quarters of the lead are used up before each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--packets", type=Path, required=True)
    parser.add_argument("--lead-ms", type=int, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--bursts", action="store_true")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    args = parser.parse_args()
    return Options(
        clip=_clip(read_packets(args.packets)),
        lead=args.lead_ms // 20,
        devices=args.devices,
        pause_s=args.lead_ms * 0.75 / 1000 if args.bursts else 0.0,
        tls=(args.tls_key, args.tls_cert) if args.tls_cert else None,
    )


def _clip(packets: Sequence[bytes]) -> list[AudioPacket]:
    last = len(packets) - 1
    return [
        AudioPacket(is_start=index == 0, is_end=index == last, data=data)
        for index, data in enumerate(packets)
    ]


@dataclass
class State:
    """A device's mode and take; `take` grows with every Play and Stop."""

    mode: int = 0
    playing: bool = False
    take: int = 0

    def press(self, event: DeviceEvent) -> bool:
        """Apply a press; returns whether anything changed that LEDs or sound must follow."""
        if not event.HasField("button_event"):
            return False
        if event.button_event.event != ButtonEvent.PRESS:
            return False
        button = event.button_event.button_id
        if button == ButtonEvent.BUTTON_2:
            self.mode = (self.mode + 1) % _MODES
        elif button == ButtonEvent.BUTTON_3:
            self.mode, self.playing, self.take = 0, False, self.take + 1
        elif button == ButtonEvent.BUTTON_4:
            self.playing, self.take = True, self.take + 1
        return True

    def leds(self) -> DeviceStatusRequest:
        """The LEDs for this state, always all six."""
        status = _GREEN if self.playing else _BLUE
        shapes = [_WHITE if self.mode == shape else _BLACK for shape in range(1, _MODES)]
        leds = [RGBAColor(rgba=rgba) for rgba in (_WHITE, status, *shapes)]
        return DeviceStatusRequest(
            set=DeviceStatusSet(**{f"led_{index}": led for index, led in enumerate(leds)})
        )
