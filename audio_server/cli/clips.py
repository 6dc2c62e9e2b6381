"""`audio-server clips`: the clips that the server would play, and changes of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from cyclopts import App

from audio_server.cli import group_clips
from audio_server.cli.group_clips import Group
from audio_server.cli.parameters import AsJson, ClipsFolder
from audio_server.cli.remote import Remote
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say_json, say_table
from audio_server.settings.places import default_cache
from audio_server.settings.values import ConfigFile, Folder

if TYPE_CHECKING:
    from audio_server.client.connection import Document
    from audio_server.clips.clip import Clip

app = App(name="clips", help="List clips, and change them.", help_formatter=HELP_FORMATTER)
app.command("audio_server.cli.add:add", name="add", help="Add a clip that gets the next mode.")
app.command("audio_server.cli.change:move", name="move", help="Give a clip another mode.")
app.command("audio_server.cli.change:remove", name="remove", help="Delete the file of a clip.")
app.command("audio_server.cli.change:rename", name="rename", help="Give a clip another title.")
app.command("audio_server.cli.change:replace", name="replace", help="Have a clip sound otherwise.")

HEADINGS = ("mode", "name", "duration", "bit rate", "source")


@app.command(name="list")
def list_clips(
    *,
    at: ClipsFolder | None = None,
    cache: Folder | None = None,
    group: Group = None,
    remote: Remote | None = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the clips of a folder or a group, in the order of their modes.

    Parameters
    ----------
    cache: Path
        Folder where clips are kept once they are Opus.
    """
    if group is not None:
        _print([_told(clip) for clip in group_clips.listed(remote, group)], as_json)
        return
    import trio

    from audio_server.cli.progress import clip_progress
    from audio_server.clips.cache import Cache
    from audio_server.clips.loader import load_clips

    at = at or ClipsFolder()
    kept = Cache(cache or default_cache(), loudness=at.loudness)
    with clip_progress() as progress:
        load = partial(load_clips, at.to_read(), cache=kept, progress=progress)
        loaded = trio.run(load)
    _print([_facts(mode, clip) for mode, clip in enumerate(loaded)], as_json)


def _print(clips: Sequence[Document], as_json: bool) -> None:
    if as_json:
        say_json(clips)
    else:
        say_table([HEADINGS, *map(_row, clips)])


def _told(clip: Document) -> Document:
    """Return a clip as the API tells of it."""
    duration = {"duration_s": clip["seconds"] or 0.0, "bit_rate_bps": clip["bit_rate_bps"]}
    return {"mode": clip["mode"], "name": clip["name"], **duration, "source": clip["source"]}


def _facts(mode: int, clip: Clip) -> Document:
    source = clip.source
    return {
        "mode": mode,
        "name": clip.name,
        "duration_s": clip.duration_s,
        "bit_rate_bps": clip.bit_rate_bps,
        "source": source
        and {
            "codec": source.codec,
            "rate_hz": source.rate_hz,
            "channels": source.channels,
            "passed_through": source.passed_through,
        },
    }


def _row(clip: Document) -> tuple[str, ...]:
    minutes, seconds = divmod(clip["duration_s"], 60)
    duration = f"{minutes:.0f}:{seconds:05.2f}"
    bit_rate = f"{clip['bit_rate_bps'] / 1000:.0f} kb/s"
    return str(clip["mode"]), clip["name"], duration, bit_rate, _source(clip["source"])


def _source(source: Document | None) -> str:
    if source is None:
        return "unknown"
    if source["passed_through"]:
        return f"{source['codec']}, as it is"
    return f"{source['codec']} {source['rate_hz']} Hz, {source['channels']} ch"
