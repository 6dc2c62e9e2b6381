"""What a device sends, as ready-made bytes: HTTP/2 frames built by hand, once.

The load side must cost next to nothing beside the server it measures, so nothing here runs
while packets flow. Windows are opened to their largest at the start: no device of the
benchmark ever has to update one.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from hpack import Encoder

STATUS, EVENTS, AUDIO = 1, 3, 5
"""Stream numbers of a device's three calls, in the order in which it opens them."""

END_STREAM, END_HEADERS, ACK, PADDED = 0x1, 0x4, 0x1, 0x8

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LARGEST_WINDOW = 2**31 - 1
_DEFAULT_WINDOW = 65_535
_CALLS = {STATUS: "StatusStream", EVENTS: "EventStream", AUDIO: "ServerAudioStream"}
_SERVICE = "/com.opalcamera.test.DeviceService/"


class Kind(IntEnum):
    """Frame types (RFC 9113, section 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class Button(IntEnum):
    """Buttons by the numbers that travel."""

    CONNECT = 0
    MODE = 1
    STOP = 2
    PLAY = 3


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One HTTP/2 frame."""
    size = len(payload)
    return struct.pack(">HBBBI", size >> 8, size & 0xFF, kind, flags, stream) + payload


def message(payload: bytes) -> bytes:
    """One gRPC message: not compressed, its length, the payload."""
    return struct.pack(">BI", 0, len(payload)) + payload


def opening(device_id: str, authority: str, scheme: str = "http") -> bytes:
    """All that a device sends when it is switched on: preface, settings, its three calls."""
    hpack = Encoder()
    return b"".join(
        [
            _PREFACE,
            frame(Kind.SETTINGS, 0, 0, struct.pack(">HI", 4, _LARGEST_WINDOW)),
            frame(Kind.WINDOW_UPDATE, 0, 0, struct.pack(">I", _LARGEST_WINDOW - _DEFAULT_WINDOW)),
            *(
                frame(
                    Kind.HEADERS,
                    END_HEADERS,
                    stream,
                    _headers(hpack, call, authority, device_id, scheme),
                )
                for stream, call in _CALLS.items()
            ),
            frame(Kind.DATA, END_STREAM, AUDIO, message(b"\x08\x01")),
        ]
    )


def _headers(hpack: Encoder, call: str, authority: str, device_id: str, scheme: str) -> bytes:
    """The header block of one call, with what a stock gRPC client sends."""
    return hpack.encode(
        [
            (":method", "POST"),
            (":scheme", scheme),
            (":path", _SERVICE + call),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-benchmark"),
            ("grpc-accept-encoding", "identity, deflate, gzip"),
            ("device_id", device_id),
        ]
    )


def _press(button: Button) -> bytes:
    pressed = b"\x08" + bytes([button]) if button else b""
    event = b"\x0a" + bytes([len(pressed)]) + pressed
    return frame(Kind.DATA, 0, EVENTS, message(event))


PRESSES = {button: _press(button) for button in Button}
"""A `DeviceEvent` with a PRESS of each button, as a frame of the event stream."""

LEDS_TAKEN = frame(Kind.DATA, 0, STATUS, message(b"\x12\x07success"))
"""The answer to every `set`: `status: "success"`."""


def state(leds: bytes) -> bytes:
    """The answer to a `get`: the LEDs of the last `set`, which are serialised the same in both."""
    return frame(Kind.DATA, 0, STATUS, message(b"\x0a" + leds))


DARK = b"\x00"
"""LEDs that were never set: none are told, and how long that is."""

SETTINGS_ACK = frame(Kind.SETTINGS, ACK, 0)


def pong(opaque: bytes) -> bytes:
    """The answer to a PING, with its eight bytes."""
    return frame(Kind.PING, ACK, 0, opaque)
