"""`audio-server press`, `play`, `stop` and `rename`: actions on devices of a running server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import AsJson, DeviceId
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say, say_json

if TYPE_CHECKING:
    from audio_server.client.connection import Document

Button = Annotated[
    Literal["mode", "play", "stop", "connect"], Parameter(name="BUTTON", help="The button.")
]
Clip = Annotated[
    str, Parameter(name="CLIP", help="The clip's name, as `audio-server clips list` has it.")
]
DeviceIds = Annotated[DeviceId, Parameter(help="The devices.")]
All = Annotated[bool, Parameter(name="--all", help="All devices that are connected.")]
Name = Annotated[str | None, Parameter(name="NAME", help="Its name.")]
NoName = Annotated[bool, Parameter(name="--none", help="Take its name away.")]


def press(
    device_id: DeviceId,
    button: Button,
    /,
    remote: Remote | None = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Press a button of a device, as the device itself would."""
    from audio_server.client.outcome import state

    row = ask(remote, lambda api: api.press(device_id, button))
    if as_json:
        say_json(row)
    else:
        say(state(row))


def play(
    clip: Clip,
    /,
    *device_ids: DeviceIds,
    remote: Remote | None = None,
    everywhere: All = False,
    as_json: AsJson = False,
) -> None:
    """Play a clip on devices now; each keeps its mode."""
    chosen = _chosen(device_ids, everywhere)
    _say(ask(remote, lambda api: api.play(chosen, clip)), f"{clip} plays on", as_json)


def stop(
    *device_ids: DeviceIds,
    remote: Remote | None = None,
    everywhere: All = False,
    as_json: AsJson = False,
) -> None:
    """Stop playback on devices, and empty their queues; each keeps its mode."""
    chosen = _chosen(device_ids, everywhere)
    _say(ask(remote, lambda api: api.stop(chosen)), "stopped", as_json)


def rename(
    device_id: DeviceId,
    name: Name = None,
    /,
    remote: Remote | None = None,
    *,
    none: NoName = False,
    as_json: AsJson = False,
) -> None:
    """Give a device a name, which the server keeps and shows beside its id."""
    if (name is None) != none:
        raise CommandError("give either a NAME or --none")
    answer = ask(remote, lambda api: api.rename(device_id, name))
    if as_json:
        say_json(answer)
    else:
        say(f"{device_id} is called {name}" if name else f"{device_id} has no name now")


def _chosen(device_ids: Sequence[str], everywhere: bool) -> Sequence[str] | None:
    if bool(device_ids) == everywhere:
        raise CommandError("which devices? Give their IDs, or --all")
    return None if everywhere else list(dict.fromkeys(device_ids))


def _say(answer: Document, what: str, as_json: bool) -> None:
    """Print the successes, and fail for the failures."""
    from audio_server.client.outcome import done, failure

    if as_json:
        say_json(answer)
    elif answer.get("done"):
        say(f"{what} {done(answer)}")
    if error := failure(answer):
        raise error
