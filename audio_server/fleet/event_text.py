"""Events as a line of text for people, and as details for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from audio_server.clips.naming import title_of
from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Action, Button
from audio_server.device.events import DeviceEvent
from audio_server.device.instrumentation import Outcome
from audio_server.fleet.led_text import led_text

_DONE = {Action.PRESS: "pressed", Action.HOLD: "held", Action.RELEASE: "released"}

_ENDED = {
    Outcome.ENDED: "{clip} has ended after {played_s:.1f} s",
    Outcome.CUT: "{clip} was cut after {played_s:.1f} s",
    Outcome.LOST: "{clip} was lost after {played_s:.1f} s",
    Outcome.FAILED: "{clip} could not be played",
}

_ANNOUNCED = {
    Hearing.WAITING: "announcement {name} waits for others",
    Hearing.PLAYING: "announcement {name} starts",
    Hearing.HEARD: "announcement {name} was heard to its end",
    Hearing.CUT: "announcement {name} was cut",
    Hearing.LOST: "announcement {name} was lost",
    Hearing.STALLED: "announcement {name} stalled",
    Hearing.FAILED: "announcement {name} could not be played",
}


def details_of(kind: DeviceEvent, details: Sequence[Any]) -> dict[str, Any]:
    """Return the details of an event in types of JSON."""
    match kind:
        case DeviceEvent.CONNECTED:
            return dict(zip(("address", "taken_over"), details, strict=True))
        case DeviceEvent.PRESS:
            return {"button": _name(details[0]), "action": _name(details[1])}
        case DeviceEvent.TAKE_STARTED:
            return {"clip": details[0]}
        case DeviceEvent.TAKE_ENDED:
            clip, outcome, played_s, reason = details
            ended = {"clip": clip, "outcome": outcome.value}
            return {**ended, "played_s": round(played_s, 3), "reason": reason}
        case DeviceEvent.LEDS:
            (frame,) = details
            return {"leds": frame and colours(frame)}
        case DeviceEvent.GONE | DeviceEvent.REFUSED:
            return {"reason": details[0]}
        case DeviceEvent.RENAMED:
            return {"name": details[0]}
        case DeviceEvent.ACTION:
            action, what = details
            return {"action": action, "what": _name(what) if isinstance(what, Button) else what}
        case DeviceEvent.ANNOUNCEMENT:
            number, name, hearing, reason = details
            announced = {"announcement": number, "sound": name}
            return {**announced, "hearing": hearing.value, "reason": reason}
    return {}


def colours(frame: Sequence[int]) -> list[str]:
    """Return the colours of LEDs as `#rrggbbaa`."""
    return [f"#{colour:08x}" for colour in frame]


def text_of(kind: DeviceEvent, details: Sequence[Any]) -> str:
    """Return one line of text."""
    return _TEXTS[kind](*details)


def _connected(address: str, taken_over: bool) -> str:
    how = "reconnected" if taken_over else "connected"
    return f"{how} from {address}"


def _pressed(button: Button, action: Action) -> str:
    return f"{_DONE[action]} {_title(button)}"


def _ended(clip: str, outcome: Outcome, played_s: float, reason: str | None) -> str:
    text = _ENDED[outcome].format(clip=title_of(clip), played_s=played_s)
    return f"{text}: {reason}" if reason else text


def _lit(frame: Sequence[int] | None) -> str:
    if frame is None:
        return "LEDs run the start-up sequence"
    return led_text(frame)


def _renamed(name: str | None) -> str:
    return "name removed" if name is None else f"renamed to {name}"


def _done(action: str, what: object) -> str:
    match action:
        case "press":
            return f"an operator pressed {_title(what)}"
        case "play":
            return f"an operator played {title_of(str(what))}"
        case "judge":
            return "an operator had it judged"
    return "an operator stopped it"


def _announced(_: str, name: str, hearing: Hearing, reason: str | None) -> str:
    text = _ANNOUNCED[hearing].format(name=title_of(name))
    return f"{text}: {reason}" if reason else text


def _title(button: object) -> str:
    return _name(button).capitalize()


def _name(member: Any) -> str:
    return str(member.name).lower()


_TEXTS: dict[DeviceEvent, Callable[..., str]] = {
    DeviceEvent.CONNECTED: _connected,
    DeviceEvent.GONE: lambda reason: f"disconnected: {reason}",
    DeviceEvent.PRESS: _pressed,
    DeviceEvent.TAKE_STARTED: lambda clip: f"{title_of(clip)} starts",
    DeviceEvent.TAKE_ENDED: _ended,
    DeviceEvent.LEDS: _lit,
    DeviceEvent.CORRECTION: lambda: "showed other LEDs than it was sent, and is sent them again",
    DeviceEvent.REFUSED: lambda reason: reason,
    DeviceEvent.RENAMED: _renamed,
    DeviceEvent.ACTION: _done,
    DeviceEvent.ANNOUNCEMENT: _announced,
}
