"""The life of each device in the log: one line for each event.

Connections and takes are lines of level info, presses of level debug. Faults are not repeated
here: they are logged where they happen. The log bounds the lines of each device and of all devices
together (`process.log_limiter`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from audio_server.device.behaviour import Action, Button
from audio_server.device.events import DeviceEvent
from audio_server.device.instrumentation import Outcome

log = structlog.get_logger()


class EventLog:
    """A `Listener` that logs events, each as a line with `device`."""

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Log an event; kinds without a line are dropped."""
        if (write := _LINES.get(kind)) is not None:
            write(device_id, *details)

    def changed(self, device_id: str) -> None:
        """Log nothing: a change that is not an event."""


def _connected(device_id: str, address: str, taken_over: bool) -> None:
    event = "device took over from its older connection" if taken_over else "device connected"
    log.info(event, device=device_id, address=address)


def _gone(device_id: str, _: object, reason: str) -> None:
    log.info("device disconnected", device=device_id, reason=reason)


def _pressed(device_id: str, button: Button, action: Action) -> None:
    log.debug("button pressed", device=device_id, button=_name(button), action=_name(action))


def _started(device_id: str, clip: str) -> None:
    log.info("take started", device=device_id, clip=clip)


def _ended(
    device_id: str, clip: str, outcome: Outcome, played_s: float, reason: str | None
) -> None:
    if outcome is Outcome.FAILED:
        return  # a warning of its own
    is_stalled = outcome is Outcome.LOST and reason is not None
    event = f"take {'stalled' if is_stalled else outcome.value}"
    more = {"reason": reason} if reason else {}
    log.info(event, device=device_id, clip=clip, played_s=round(played_s, 1), **more)


def _acted(device_id: str, action: str, detail: object) -> None:
    shown = _name(detail) if isinstance(detail, Button) else detail
    more = {} if shown is None else {"detail": shown}
    log.info("operator acted on device", device=device_id, action=action, **more)


def _name(member: Any) -> str:
    return str(member.name).lower()


_LINES: dict[DeviceEvent, Callable[..., None]] = {
    DeviceEvent.CONNECTED: _connected,
    DeviceEvent.GONE: _gone,
    DeviceEvent.PRESS: _pressed,
    DeviceEvent.TAKE_STARTED: _started,
    DeviceEvent.TAKE_ENDED: _ended,
    DeviceEvent.ACTION: _acted,
}
