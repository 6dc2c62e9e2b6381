"""The life of each device in the log: one line for each event.

Connections and takes are lines of level info, presses of level debug. Faults are not repeated
here: they are logged where they happen. A line costs more than a press, so the limiter is asked
before anything is formatted: a storm of presses must not wait for its log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import structlog
import trio

from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Action, Button
from audio_server.device.events import DeviceEvent
from audio_server.device.instrumentation import Outcome

log = structlog.get_logger()

Line: TypeAlias = dict[str, Any]


class Limiter(Protocol):
    """Decides which events are logged."""

    def take(self, source: str, now: float) -> int | None:
        """Return how many events were dropped since the last line, or None to drop this one."""


class EventLog:
    """A `Listener` that logs events, each as a line with `device`; presses only if asked for."""

    def __init__(self, limiter: Limiter, *, presses: bool) -> None:
        self._limiter = limiter
        self._kinds = _LINES.keys() if presses else _LINES.keys() - {DeviceEvent.PRESS}

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Log an event; kinds without a line are dropped."""
        if kind not in self._kinds or Outcome.FAILED in details:
            return  # a failure has a line where it happens
        dropped = self._limiter.take(device_id, trio.current_time())
        if dropped is not None:
            line = _LINES[kind](*details)
            write = log.debug if kind is DeviceEvent.PRESS else log.info
            more = {"not_logged_before": dropped} if dropped else {}
            write(line.pop("event"), device=device_id, **line, **more)

    def changed(self, device_id: str) -> None:
        """Log nothing: a change that is not an event."""


def _connected(address: str, taken_over: bool) -> Line:
    event = "device took over from its older connection" if taken_over else "device connected"
    return {"event": event, "address": address}


def _gone(_: object, reason: str) -> Line:
    return {"event": "device disconnected", "reason": reason}


def _pressed(button: Button, action: Action) -> Line:
    return {"event": "button pressed", "button": _name(button), "action": _name(action)}


def _started(clip: str) -> Line:
    return {"event": "take started", "clip": clip}


def _ended(clip: str, outcome: Outcome, played_s: float, reason: str | None) -> Line:
    is_stalled = outcome is Outcome.LOST and reason is not None
    event = f"take {'stalled' if is_stalled else outcome.value}"
    more = {"reason": reason} if reason else {}
    return {"event": event, "clip": clip, "played_s": round(played_s, 1), **more}


def _announced(number: str, name: str, hearing: Hearing, reason: str | None) -> Line:
    more = {"reason": reason} if reason else {}
    return {"event": f"announcement {hearing.value}", "id": number, "sound": name, **more}


def _acted(action: str, detail: object) -> Line:
    shown = _name(detail) if isinstance(detail, Button) else detail
    more = {} if shown is None else {"detail": shown}
    return {"event": "operator acted on device", "action": action, **more}


def _name(member: Any) -> str:
    return str(member.name).lower()


_LINES: dict[DeviceEvent, Callable[..., Line]] = {
    DeviceEvent.CONNECTED: _connected,
    DeviceEvent.GONE: _gone,
    DeviceEvent.PRESS: _pressed,
    DeviceEvent.TAKE_STARTED: _started,
    DeviceEvent.TAKE_ENDED: _ended,
    DeviceEvent.ACTION: _acted,
    DeviceEvent.ANNOUNCEMENT: _announced,
}
