"""`audio-server press`, `play`, `stop`, `rename`, `tag`, `untag`: actions on devices of a running
server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import AsJson, DeviceId, Tag, device_id, word
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say, say_json

if TYPE_CHECKING:
    from audio_server.client.api import Which
    from audio_server.client.connection import Document

Button = Annotated[
    Literal["mode", "play", "stop", "connect"], Parameter(name="BUTTON", help="The button.")
]
ClipAndIds = Annotated[
    str,
    Parameter(
        name="CLIP ID",
        converter=word,
        allow_leading_hyphen=True,
        help="The clip's name or mode, as `audio-server clips list` has it; none with --live. "
        "Then the devices.",
    ),
]
Live = Annotated[
    str | None, Parameter(name="--live", help="Play this live channel in the place of a clip.")
]
DeviceIds = Annotated[DeviceId, Parameter(help="The devices.")]
All = Annotated[bool, Parameter(name="--all", help="All devices that are connected.")]
OnTag = Annotated[
    Tag | None, Parameter(name="--tag", help="All devices with this tag that are connected.")
]
OfTag = Annotated[Tag | None, Parameter(name="--tag", help="All devices with this tag.")]
Everything = Annotated[bool, Parameter(name="--all", help="All devices that were ever seen.")]
TheTag = Annotated[Tag, Parameter(name="TAG", help="The tag: a-z, digits, dots, - and _.")]
Name = Annotated[str | None, Parameter(name="NAME", help="Its name.")]
NoName = Annotated[bool, Parameter(name="--none", help="Take its name away.")]


def press(
    device_id: DeviceId,
    button: Button | None = None,
    /,
    remote: Remote | None = None,
    *,
    tag: OnTag = None,
    everywhere: All = False,
    as_json: AsJson = False,
) -> None:
    """Press a button of a device, as the device itself would.

    For several devices give the BUTTON alone, with --tag or --all.
    """
    from audio_server.client.outcome import state

    if tag is not None or everywhere:
        _press_all(remote, device_id, button, tag, everywhere, as_json)
        return
    if button is None:
        raise CommandError("give the ID of a device and a BUTTON, or a BUTTON and --tag or --all")
    row = ask(remote, lambda api: api.press(device_id, button))
    if as_json:
        say_json(row)
    else:
        say(state(row))


def _press_all(
    remote: Remote | None,
    button: str,
    more: str | None,
    tag: str | None,
    everywhere: bool,
    as_json: bool,
) -> None:
    if more is not None or button not in get_args(get_args(Button)[0]):
        raise CommandError("give one BUTTON (mode, play, stop, connect) with --tag or --all")
    which = chosen((), everywhere, tag)
    _say(ask(remote, lambda api: api.press_all(which, button)), f"{button} pressed on", as_json)


def play(
    *words: ClipAndIds,
    remote: Remote | None = None,
    live: Live = None,
    everywhere: All = False,
    tag: OnTag = None,
    as_json: AsJson = False,
) -> None:
    """Play a clip or a live channel on devices now; each keeps its mode."""
    if live is None and not words:
        raise CommandError("play needs a clip: its name or mode, or --live NAME")
    name, ids = (words[0], words[1:]) if live is None else (live, words)
    devices = chosen([device_id(one) for one in ids], everywhere, tag)
    source = {"clip": name} if live is None else {"live": name}
    _say(ask(remote, lambda api: api.play(devices, **source)), f"{name} plays on", as_json)


def stop(
    *device_ids: DeviceIds,
    remote: Remote | None = None,
    everywhere: All = False,
    tag: OnTag = None,
    as_json: AsJson = False,
) -> None:
    """Stop playback on devices, and empty their queues; each keeps its mode."""
    devices = chosen(device_ids, everywhere, tag)
    _say(ask(remote, lambda api: api.stop(devices)), "stopped", as_json)


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


def tag(
    name: TheTag,
    /,
    *device_ids: DeviceIds,
    remote: Remote | None = None,
    everywhere: Everything = False,
    of_tag: OfTag = None,
    as_json: AsJson = False,
) -> None:
    """Give devices a tag, also devices that are away.

    All with a tag are a group, for play, stop and press.
    """
    devices = chosen(device_ids, everywhere, of_tag)
    _say(ask(remote, lambda api: api.tag(devices, add=[name])), f"{name} is a tag of", as_json)


def untag(
    name: TheTag,
    /,
    *device_ids: DeviceIds,
    remote: Remote | None = None,
    everywhere: Everything = False,
    of_tag: OfTag = None,
    as_json: AsJson = False,
) -> None:
    """Take a tag away from devices, also from devices that are away."""
    devices = chosen(device_ids, everywhere, of_tag)
    _say(ask(remote, lambda api: api.tag(devices, remove=[name])), f"{name} is no tag of", as_json)


def chosen(device_ids: Sequence[str], everywhere: bool, tag: str | None) -> Which:
    """Return the devices that are meant. Raises `CommandError` unless they are given one way."""
    if bool(device_ids) + everywhere + (tag is not None) != 1:
        raise CommandError("which devices? Give their IDs, --tag NAME, or --all")
    if tag is not None:
        return {"tag": tag}
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
