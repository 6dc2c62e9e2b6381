"""The buttons of a device and the actions on them. Imports nothing, so that `--help` is quick."""

from __future__ import annotations

from enum import IntEnum


class Button(IntEnum):
    """The buttons by their number on the device; `NONE` is an event whose oneof is unset."""

    NONE = 0
    CONNECT = 1
    MODE = 2
    STOP = 3
    PLAY = 4


class Action(IntEnum):
    """The actions on a button, numbered as `ButtonEvent.ButtonEventType` numbers them."""

    PRESS = 0
    HOLD = 1
    RELEASE = 2
