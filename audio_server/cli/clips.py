"""`audio-server clips`: the clips that the server would play, and changes of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cyclopts import App

from audio_server.cli.parameters import AsJson, ClipsFolder
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say_json, say_table
from audio_server.settings.places import default_cache
from audio_server.settings.values import ConfigFile, Folder

if TYPE_CHECKING:
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
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """List the clips of a folder, in the order of their modes.

    Parameters
    ----------
    cache: Path
        Folder where clips are kept once they are Opus.
    """
    import trio

    from audio_server.cli.progress import clip_progress
    from audio_server.clips.cache import Cache
    from audio_server.clips.loader import load_clips

    at = at or ClipsFolder()
    kept = Cache(cache or default_cache(), loudness=at.loudness)
    with clip_progress() as progress:
        load = partial(load_clips, at.to_read(), cache=kept, progress=progress)
        loaded = trio.run(load)
    if as_json:
        say_json([_facts(mode, clip) for mode, clip in enumerate(loaded)])
    else:
        say_table([HEADINGS, *(_row(mode, clip) for mode, clip in enumerate(loaded))])


def _facts(mode: int, clip: Clip) -> dict[str, object]:
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


def _row(mode: int, clip: Clip) -> tuple[str, ...]:
    minutes, seconds = divmod(clip.duration_s, 60)
    duration = f"{minutes:.0f}:{seconds:05.2f}"
    return str(mode), clip.name, duration, f"{clip.bit_rate_bps / 1000:.0f} kb/s", _source(clip)


def _source(clip: Clip) -> str:
    source = clip.source
    if source is None:
        return "unknown"
    if source.passed_through:
        return f"{source.codec}, as it is"
    return f"{source.codec} {source.rate_hz} Hz, {source.channels} ch"
