"""Devices and clips as the API has them, made up."""

from __future__ import annotations

import time
from typing import Any

Json = dict[str, Any]
POWER, IDLE, PLAYING, AMBER, DARK = "#ffffffff", "#0060ffff", "#00ff40ff", "#ffb000ff", "#00000000"
CLIPS = ("home", "square", "rhomboid", "triangle", "circle")


def device(device_id: str, *, mode: int = 0, at: float | None = None, **facts: Any) -> Json:
    """A device as the API has it; `at` says how far (s) it plays its mode's clip of 12 s."""
    now = time.time()
    clip = {"clip": CLIPS[mode % 5], "mode": mode, "seconds": 12.0, "position_s": at, "at": now}
    leds = [POWER, IDLE if at is None else PLAYING, *[DARK] * 4]
    if mode:
        leds[2 + (mode - 1) % 4] = AMBER
    return {
        "id": device_id,
        "name": None,
        "tags": [],
        "first_seen": now - 86_400,
        "last_seen": None,
        "connections": 1,
        "takes": 0,
        "errors_ever": 0,
        "connected": True,
        "address": "10.0.0.7:51234",
        "worker": None,
        "since": now - 90,
        "mode": mode,
        "mode_name": CLIPS[mode % 5],
        "state": "idle" if at is None else "playing",
        "playing": None if at is None else clip,
        "leds": leds,
        "confirmed": [led[:7] for led in leds],
        "last_press": None,
        "battery": None,
        "lead_ms": None if at is None else 280,
        "round_trip_ms": 1.8,
        "errors": 0,
        "last_error": None,
        "corrections": 0,
        "streams": ["status", "events", "audio"],
        "firmware": None,
        **facts,
    }


def away(device_id: str, *, for_s: float = 3 * 3600, **facts: Any) -> Json:
    """A device that was seen last so many seconds ago."""
    last = time.time() - for_s
    gone = {"connected": False, "since": last, "last_seen": last, "round_trip_ms": None}
    return device(device_id, **gone, streams=[], **facts)


def at_this_moment(playing: Json) -> Json:
    """What plays, a while later."""
    now = time.time()
    return playing | {"position_s": playing["position_s"] + now - playing["at"], "at": now}


def clip(mode: int, title: str, **facts: Any) -> Json:
    """A clip as the API has it."""
    return {
        "mode": mode,
        "name": f"{mode:02}-{title}",
        "title": title,
        "file": f"{mode:02}-{title}.opus",
        "seconds": 2.0 + mode,
        "bit_rate_bps": 32_000,
        "source": None,
        **facts,
    }
