"""Scripts: the acts of a user with a device, as one line of words.

    connect mode play wait:2 stop

Every step is a word, some with a value after a colon. `HELP` lists them.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.errors import ScriptError

HELP = """\
connect         switch on and connect; when on: press Connect
mode play stop  press that button
wait:SECONDS    do nothing
until-end       wait until the sound has been heard to its end
off on          switch off, switch on
reconnect       off and on again at once
hold:BUTTON     hold connect, mode, stop or play; release:BUTTON lets go
unset           send an event without a field
deaf hear       stop reading audio, read it again
random:SECONDS  press, wait, go deaf and reconnect at random
picture:FILE    save the screen of now as SVG"""

BUTTONS = {
    "connect": Button.CONNECT,
    "mode": Button.MODE,
    "stop": Button.STOP,
    "play": Button.PLAY,
}
_PLAIN = ("connect", "on", "off", "reconnect", "until-end", "unset", "deaf", "hear")
_TIMED = ("wait", "random")
_ON_BUTTONS = {"hold": Action.HOLD, "release": Action.RELEASE, "press": Action.PRESS}


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Its other fields depend on its name: seconds, an event or a file."""

    name: str
    seconds: float = 0.0
    button: Button = Button.NONE
    action: Action = Action.PRESS
    file: str = ""


def parse_script(text: str) -> list[Step]:
    """The steps of a script. Raises `ScriptError`, the user's fault."""
    steps = [_parse(word) for word in text.split()]
    if not any(step.name in ("connect", "on") for step in steps):
        raise ScriptError("the script never switches the device on: begin with connect")
    return steps


def _parse(word: str) -> Step:
    name, colon, value = word.partition(":")
    if name in _PLAIN and not colon:
        return Step(name)
    if name in BUTTONS and not colon:
        return Step("press", button=BUTTONS[name])
    if name in _TIMED and value:
        return Step(name, seconds=_seconds(word, value))
    if name in _ON_BUTTONS and value in BUTTONS:
        return Step("press", button=BUTTONS[value], action=_ON_BUTTONS[name])
    if name == "picture" and value:
        return Step(name, file=value)
    raise ScriptError(_complaint(word, name, value))


def _seconds(word: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 86_400:
        raise ScriptError(f"step {word!r}: {value!r} is no number of seconds up to a day")
    return seconds


def _complaint(word: str, name: str, value: str) -> str:
    if name in _TIMED:
        return f"step {word!r} needs seconds: {name}:2"
    if name in _ON_BUTTONS:
        return f"step {word!r} needs a button, one of {', '.join(BUTTONS)}: {name}:play"
    if name == "picture":
        return f"step {word!r} needs a file: picture:device.svg"
    if name in _PLAIN or name in BUTTONS:
        return f"step {word!r}: {name} takes no value"
    meant = difflib.get_close_matches(
        name, [*_PLAIN, *BUTTONS, *_TIMED, *_ON_BUTTONS, "picture"], 1
    )
    return f"there is no step {word!r}" + (f"; did you mean {meant[0]}?" if meant else "")
