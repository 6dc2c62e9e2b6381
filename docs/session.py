"""What a device and the server say to each other from switching on to switching off."""

from __future__ import annotations

from sequence import Band, Message, draw

COLOURS = {"all": "#52606d", "status": "#0b69a3", "events": "#b44d12", "audio": "#0c6b58"}

STEPS = (
    Band("Switched on"),
    Message("all", "three calls, each with device_id; audio: start"),
    Message("status", "set: six LEDs, a start-up sequence of 1 s", back=True),
    Message("status", '"success", to each'),
    Message("status", "get", back=True),
    Message("status", "state: the LEDs that it shows"),
    Band("Mode is pressed"),
    Message("events", "PRESS BUTTON_2"),
    Message("events", "ack", back=True),
    Message("status", "set: the shape of the new mode", back=True),
    Message("status", '"success"'),
    Band("Play is pressed"),
    Message("events", "PRESS BUTTON_4"),
    Message("events", "ack", back=True),
    Message("audio", "is_start and 300 ms of packets, at once", back=True),
    Message("status", "set: playing", back=True),
    Message("status", '"success"'),
    Message("audio", "packets, a few at a time, in real time", back=True),
    Band("Stop is pressed while it plays"),
    Message("events", "PRESS BUTTON_3"),
    Message("events", "ack", back=True),
    Message("audio", "20 ms of silence, is_end", back=True),
    Message("status", "set: idle, mode 0", back=True),
    Message("status", '"success"'),
    Band("Switched off"),
    Message("all", "the calls are cancelled, the connection is closed"),
)


def session_picture() -> str:
    title = "A session: what device and server say to each other on the three calls"
    return draw(("device", "server"), COLOURS, STEPS, title)
