"""A device at one moment, and its form in JSON."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import trio

from audio_server.device.behaviour import Button, State
from audio_server.device.device import Device
from audio_server.device.leds import Frame
from audio_server.device.takeover import CallKind
from audio_server.device.telemetry import Telemetry
from audio_server.fleet.event_text import colours
from audio_server.wire.audio import PACKET_MS

DRIFT_S = 0.3
"""How far the clock of a take may be off before it is news: a take can pause."""


class Playing(NamedTuple):
    """The take that plays. `begun` is when it would have begun, had it never paused."""

    clip: str
    seconds: float | None  # None: sound without an end
    begun: float
    lead_ms: int


class Snapshot(NamedTuple):
    """The visible state of a device. Times are those of the loop, but `came_ns`, of its newest
    connect or take-over, is of the machine's monotonic clock: it orders reports of processes."""

    device_id: str
    came_ns: int
    peer: object
    since: float
    state: State
    leds: Frame
    report: Telemetry
    last_press: tuple[Button, float] | None
    streams: tuple[str, ...]
    mode_name: str | None
    is_gone: bool
    firmware: str | None
    playing: Playing | None


def take_snapshot(device: Device, mode_name: str | None) -> Snapshot:
    """Look at a device; costs microseconds."""
    return Snapshot(
        device.id,
        device.came_ns,
        device.peer,
        device.since,
        device.state,
        device.display.status.frame.leds,
        device.report,
        device.last_press,
        tuple(kind.value for kind in CallKind if kind in device.attachments),
        mode_name,
        False,
        device.firmware,
        _playing(device),
    )


def is_news(old: Snapshot, new: Snapshot) -> bool:
    """Whether a row has changed. The progress of a take is no change, since a page shows it by its
    own clock; nor is the lead, which changes all the time."""

    if old[:-1] != new[:-1]:
        return True
    if old.playing is None or new.playing is None:
        return old.playing is not new.playing
    same = old.playing[:2] == new.playing[:2]
    return not same or abs(old.playing.begun - new.playing.begun) >= DRIFT_S


def facts(seen: Snapshot, worker: int | None = None) -> dict[str, Any]:
    """A row without the id and the name of its device.

    Times are seconds since 1970; `position_s` is where the take was `at` that time. An unknown
    value is null: `battery` (0 to 1), and the colours of LEDs that the device has `confirmed`.
    """
    state, report, press = seen.state, seen.report, seen.last_press
    return {
        "connected": not seen.is_gone,
        "address": None if seen.peer is None else str(seen.peer),
        "worker": worker,
        "node": None,
        "since": epoch_s(seen.since),
        "mode": state.mode,
        "mode_name": seen.mode_name,
        "state": _state_name(seen),
        "playing": _playing_facts(seen),
        "leds": colours(seen.leds),
        "confirmed": report.leds and [f"#{colour >> 8:06x}" for colour in report.leds],
        "last_press": press and {"button": press[0].name.lower(), "at": epoch_s(press[1])},
        "battery": report.battery,
        "lead_ms": seen.playing and seen.playing.lead_ms,
        "round_trip_ms": report.round_trip_s and round(1000 * report.round_trip_s, 1),
        "errors": report.errors,
        "last_error": report.last_error,
        "corrections": report.corrections,
        "streams": list(seen.streams),
        "firmware": seen.firmware,
    }


def epoch_s(at: float) -> float:
    """A time of the loop as seconds since 1970."""
    return round(time.time() - trio.current_time() + at, 3)


def _playing(device: Device) -> Playing | None:
    source, position = device.source, device.position
    if source is None or position is None:
        return None
    lead_ms = round(position.sent * PACKET_MS - 1000 * position.played_s)
    # Not the clip itself: it is large, and may have been replaced by the next look.
    begun = trio.current_time() - position.played_s
    return Playing(source.name, _seconds(position.packets), begun, lead_ms)


def _state_name(seen: Snapshot) -> str:
    if seen.state.announcing:
        return "announcing"
    if seen.state.error:
        return "error"
    if seen.state.paused:
        return "paused"
    return "playing" if seen.playing else "idle"


def _seconds(packets: int | None) -> float | None:
    return None if packets is None else packets * PACKET_MS / 1000


def _playing_facts(seen: Snapshot) -> dict[str, Any] | None:
    if seen.playing is None:
        return None
    now = trio.current_time()
    return {
        "clip": seen.playing.clip,
        "mode": None if seen.state.announcing else seen.state.playing,
        "seconds": seen.playing.seconds,
        "position_s": round(now - seen.playing.begun, 3),
        "at": epoch_s(now),
    }
