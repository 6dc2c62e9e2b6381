"""`audio-server live`: sound of a file, a pipe or a URL on a live channel of a running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import AsJson
from audio_server.cli.remote import Remote, ask
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say, say_json, say_table

if TYPE_CHECKING:
    from audio_server.client.api import Api
    from audio_server.client.connection import Document

STDIN = "-"

HEADINGS = ("channel", "mode", "sound", "node", "inserted", "left out", "lost")

HELP = """Send sound to a live channel of a running server, list channels, or see to recordings.

The sound is encoded here.
"""

app = App(name="live", help=HELP, help_formatter=HELP_FORMATTER)
app.command("audio_server.cli.recordings:app", name="recordings")

Channel = Annotated[str, Parameter(name="NAME", help="The channel, as the setting live names it.")]
Source = Annotated[
    str,
    Parameter(
        name="SOURCE",
        allow_leading_hyphen=True,
        help="A file, which is sent in real time; an http or https URL, which is opened again "
        "when it breaks off; or - for standard input.",
    ),
]
Mic = Annotated[
    bool, Parameter(name="--mic", negative=(), help="Send this machine's microphone; no SOURCE.")
]
Hosts = Annotated[
    tuple[str, ...],
    Parameter(
        name="--allow-host",
        negative=(),
        help="A host to which redirects and lists of the URL may lead, besides its own; * stands "
        "for any text. A name of the web that leads to a private address needs it too, without *. "
        "May be given several times.",
    ),
]


@app.default
def live(
    channel: Channel,
    source: Source | None = None,
    /,
    remote: Remote | None = None,
    *,
    allow_host: Hosts = (),
    mic: Mic = False,
) -> None:
    """Send sound to a live channel, until it ends or Ctrl-C. It is encoded here."""
    from audio_server.clips.web_address import PROTOCOLS, Addresses, is_web

    if (source is None) != mic:
        raise CommandError("give either a SOURCE (a file, a URL, or -) or --mic")
    source = source or ""
    protocol, is_url, _ = source.partition("://")
    if is_url and not is_web(source):
        raise CommandError(
            f"{source}: {protocol} is not read, only {' and '.join(PROTOCOLS)}; "
            "another program may read it into a pipe: audio-server live NAME -"
        )
    if allow_host and not is_url:
        raise CommandError("--allow-host: the source is no URL")

    async def sending(api: Api) -> float:
        from audio_server.cli.live_sources import send_file, send_pipe, send_web

        await _check(api, channel)
        if mic:
            from audio_server.cli.microphone import send_microphone

            return await send_microphone(api, channel)
        if is_url:
            return await send_web(api, channel, Addresses(source, tuple(allow_host)))
        return await (
            send_pipe(api, channel) if source == STDIN else send_file(api, channel, source)
        )

    seconds = ask(remote, sending)
    say(f"{channel}: {seconds:.1f} s of sound were sent")


@app.command
def channels(remote: Remote | None = None, *, as_json: AsJson = False) -> None:
    """List the live channels: the mode of each, and whether sound is sent to it."""
    document = ask(remote, lambda api: api.channels())
    if as_json:
        say_json(document)
    elif document["channels"]:
        say_table([HEADINGS, *map(_row, document["channels"])])
    else:
        say("there are no live channels: start the server with --live NAME")


def _row(one: Document) -> tuple[str, ...]:
    sound = "on air" if one["sending"] else "off"
    counts = (str(one.get(count, 0)) for count in ("inserted", "left_out", "lost"))
    return one["name"], str(one["mode"]), sound, one.get("node") or "", *counts


async def _check(api: Api, channel: str) -> None:
    """Raise `CommandError` for a channel that takes no sound: a refusal is not heard by a client
    that is sending."""
    channels = {one["name"]: one for one in (await api.channels())["channels"]}
    if channel not in channels:
        names = ", ".join(channels) or "it has none: start it with --live NAME"
        raise CommandError(f"{channel}: the server has no such channel ({names})")
    if channels[channel]["sending"]:
        node = channels[channel].get("node")
        at = f", at node {node}" if node else ""
        raise CommandError(f"{channel}: sound is sent to it already{at}")
