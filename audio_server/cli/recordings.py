"""`audio-server live recordings`: the recordings of live channels of a running server."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

from cyclopts import App, Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import STDIN, AsJson
from audio_server.cli.remote import Remote, ask
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say, say_json, say_table

if TYPE_CHECKING:
    from audio_server.client.api import Api
    from audio_server.client.connection import Document

HELP = "List the recordings of live channels, which a server with --record makes."

app = App(name="recordings", help=HELP, help_formatter=HELP_FORMATTER)

HEADINGS = ("recording", "channel", "begun", "duration", "size")

Name = Annotated[str, Parameter(name="RECORDING", help="Its name, as the list has it.")]
Target = Annotated[
    str,
    Parameter(name="FILE", allow_leading_hyphen=True, help="The new file; - is standard output."),
]
Title = Annotated[
    str | None, Parameter(name="--title", help="The clip's title.  [default: channel and time]")
]


@app.default
def list_recordings(remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """List the recordings of live channels, the newest first."""
    document = ask(remote, lambda api: api.recordings())
    if as_json:
        say_json(document)
    elif document["recordings"]:
        say_table([HEADINGS, *map(_row, document["recordings"])])
    else:
        say("there are no recordings")


def _row(one: Document) -> tuple[str, ...]:
    begun = datetime.fromtimestamp(one["begun"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    minutes, seconds = divmod(round(one["seconds"]), 60)
    duration = f"{minutes}:{seconds:02}{' so far' if one['running'] else ''}"
    return one["name"], one["channel"], begun, duration, f"{one['bytes'] / (1 << 20):.1f} MiB"


@app.command
def fetch(name: Name, file: Target, /, remote: Remote | None = None) -> None:
    """Write a recording to a file, Opus in Ogg; of one that is being made all there is."""

    async def fetching(api: Api) -> None:
        async with api.open_recording(name) as parts:
            if file == STDIN:
                async for part in parts:
                    await _write(sys.stdout.buffer, part)
                return
            with _new(Path(file)) as opened:
                async for part in parts:
                    await _write(opened, part)

    ask(remote, fetching)


def _new(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileExistsError:
        raise CommandError(f"{path}: is there already") from None


async def _write(file: BinaryIO, part: bytes) -> None:
    import trio

    await trio.to_thread.run_sync(file.write, part)


@app.command
def delete(name: Name, /, *more: Name, remote: Remote | None = None) -> None:
    """Delete recordings."""

    async def delete_each(api: Api) -> None:
        for one in dict.fromkeys((name, *more)):
            await api.delete_recording(one)
            say(f"{one} is deleted")

    ask(remote, delete_each)


@app.command
def clip(
    name: Name,
    /,
    remote: Remote | None = None,
    *,
    title: Title = None,
    as_json: AsJson = False,
) -> None:
    """Make a recording a clip of the server, which gets the next mode."""
    document = ask(remote, lambda api: api.make_clip(name, title))
    made = document["clips"][-1]
    if as_json:
        say_json(made)
    else:
        say(f"{made['title']} is the clip of mode {made['mode']}")
