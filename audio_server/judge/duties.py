"""The duties of a device, as docs/protocol.md and docs/firmware.md have them."""

from __future__ import annotations

from enum import Enum


class Duty(Enum):
    """A duty; its value is the sentence that a report shows."""

    CALLS = "a device opens its three calls as soon as it is switched on"
    ID = "a device has one device_id, on all calls and connections"
    SILENT = "a device says nothing on StatusStream until the server asks"
    START = "a device sends `start: true` on ServerAudioStream, once"
    SET = 'a device answers each set, once, with `status: "success"`'
    GET = "a device answers each get, once, with its state"
    DRAWN = "a device draws all six LEDs from each set; one that is left out turns black"
    POWER = "LED 0 is the device's own: a set does not change it"
    BATTERY = "a battery level is a share of 1"
    SOUND = "a device takes sound as fast as it comes, and opens its window for more"
    MEANWHILE = "a device answers for its LEDs while sound plays"
    TAKES = "short takes, takes that are cut and takes that pause end no call"
    EVENT = "an event names a button, and the act of its user"
    LOCK_STEP = "a device sends no event before the one before it is acknowledged"
    PINGS = "a device sends PINGs sparingly: with the server silent, 10 s apart at least"
    ALONE = "a call that ends alone ends none of the others, or all come again"
    RETURN = "a device comes back when its connection is lost"
    PATIENCE = "a device that is answered ABORTED waits for a second at least"
