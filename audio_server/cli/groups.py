"""`audio-server groups`: the groups of a running server, and their settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter, Token

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import AsJson, Tag
from audio_server.cli.remote import Remote, ask
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say, say_json, say_table

if TYPE_CHECKING:
    from audio_server.client.connection import Document

HELP = """List the groups of a running server, with the settings of each, or change settings.

A group is all devices with a tag. Settings of groups in the server's own file
are changed there.
"""

app = App(name="groups", help=HELP, help_formatter=HELP_FORMATTER)

HEADINGS = ("group", "connected", "known", "settings from", "clips", "settings")
SOURCES = {"file": "file", "api": "API", None: "-"}

Name = Annotated[Tag, Parameter(name="NAME", help="The group: the tag of its devices.")]


def _setting(_: object, tokens: Sequence[Token]) -> str:
    """An option that does not exist is no setting."""
    text = tokens[0].value
    if text.startswith("-"):
        raise ValueError(f"there is no such option: {text}")
    return text


Setting = Annotated[
    str,
    Parameter(
        name="KEY=VALUE",
        converter=_setting,
        allow_leading_hyphen=True,
        help="A setting, such as lead_ms=200; clips is a folder of the server.",
    ),
]
Key = Annotated[
    str,
    Parameter(
        name="KEY",
        converter=_setting,
        allow_leading_hyphen=True,
        help="Such as lead_ms.",
    ),
]


@app.default
def list_groups(remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """List all groups: how many devices are connected and known, and the settings of each."""
    from audio_server.client.outcome import absence

    document = ask(remote, lambda api: api.groups())
    if as_json:
        say_json(document)
    elif document["groups"]:
        say_table([HEADINGS, *map(_row, document["groups"])])
    else:
        say("there are no groups")
    if error := absence(document):
        raise error


def _row(group: Document) -> tuple[str, ...]:
    clips = group["clips"]
    return (
        group["name"],
        str(group["connected"]),
        str(group["devices"]),
        SOURCES.get(group["source"], "-"),
        "-" if clips is None else str(len(clips)),
        " ".join(f"{key}={value}" for key, value in group["settings"].items()) or "-",
    )


@app.command
def show(name: Name, /, remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """Show a group: its devices, its settings, and its clips where it has its own."""
    _print(ask(remote, lambda api: api.group(name)), as_json)


@app.command(name="set")
def set_settings(
    name: Name,
    /,
    *settings: Setting,
    remote: Remote | None = None,
    as_json: AsJson = False,
) -> None:
    """Give a group settings; those that are not named stay as they are.

    The settings are clips, lead_ms, play_while_playing, mode_while_playing,
    stop_goes and led_brightness.
    """
    if not settings:
        raise CommandError("which settings? Give KEY=VALUE, such as lead_ms=200")
    values = dict(_parsed(name, one) for one in settings)
    _print(ask(remote, lambda api: api.change_group(name, values)), as_json)


@app.command
def unset(name: Name, /, *keys: Key, remote: Remote | None = None, as_json: AsJson = False) -> None:
    """Take settings of a group away; those of the fleet count in their place."""
    if not keys:
        raise CommandError("which settings? Give a KEY, such as lead_ms; delete removes them all")
    values = dict.fromkeys(_checked(one) for one in keys)
    _print(ask(remote, lambda api: api.change_group(name, values)), as_json)


@app.command
def delete(name: Name, /, remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """Take all settings of a group away; its devices keep the tag."""
    document = ask(remote, lambda api: api.delete_group(name))
    if as_json:
        say_json(document)
    else:
        say(f"{name} has no settings now")


def _print(group: Document, as_json: bool) -> None:
    from audio_server.client.outcome import absence

    if as_json:
        say_json(group)
    else:
        say_table(_facts(group))
    if error := absence(group):
        raise error


def _facts(group: Document) -> list[tuple[str, str]]:
    source = {"file": "its file", "api": "the API"}.get(group["source"], "nowhere: it has none")
    facts = [
        ("group", group["name"]),
        ("devices", f"{group['devices']}, {group['connected']} of them connected"),
        ("settings from", source),
        *((key, str(value)) for key, value in group["settings"].items()),
    ]
    if (clips := group["clips"]) is not None:
        facts += [(f"mode {mode}", clip) for mode, clip in enumerate(clips)]
    return facts


def _parsed(name: str, text: str) -> tuple[str, str | int]:
    """Return a setting and its value. Raises `CommandError` for a wrong one."""
    from audio_server.groups.tables import GROUPS, BadTable, checked

    key, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"{text}: give KEY=VALUE, such as lead_ms=200")
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else None
    is_number = key in ("lead_ms", "led_brightness") and number is not None
    typed = number if is_number and number is not None else value
    try:
        checked(f"{GROUPS}.{name}", {key: typed})
    except BadTable as error:
        raise CommandError(str(error)) from error
    return key, typed


def _checked(key: str) -> str:
    from audio_server.groups.overrides import NAMES

    if key not in NAMES:
        raise CommandError(f"{key}: no such setting; there are {', '.join(NAMES)}")
    return key
