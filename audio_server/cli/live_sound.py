"""`audio-server live`: sound of a file, a pipe or a URL on a live channel of a running server."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from random import randrange
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say

if TYPE_CHECKING:
    from audio_server.client.api import Api

STDIN = "-"
PACKET_S = 0.02

Channel = Annotated[str, Parameter(name="NAME", help="The channel, as the setting live names it.")]
Source = Annotated[
    str,
    Parameter(
        name="SOURCE",
        allow_leading_hyphen=True,
        help="A file, which is sent in real time; a URL; or - for standard input.",
    ),
]


def live(channel: Channel, source: Source, /, remote: Remote | None = None) -> None:
    """Send sound to a live channel, until it ends or Ctrl-C. It is encoded here."""

    async def sending(api: Api) -> float:
        await _check(api, channel)
        return await api.send_live(channel, _pages(source))

    seconds = ask(remote, sending)
    say(f"{channel}: {seconds:.1f} s of sound were sent")


async def _check(api: Api, channel: str) -> None:
    """Raise `CommandError` for a channel that takes no sound: a refusal is not heard by a client
    that is sending."""
    channels = {one["name"]: one for one in (await api.channels())["channels"]}
    if channel not in channels:
        names = ", ".join(channels) or "it has none: start it with --live NAME"
        raise CommandError(f"{channel}: the server has no such channel ({names})")
    if channels[channel]["sending"]:
        raise CommandError(f"{channel}: sound is sent to it already")


async def _pages(source: str) -> AsyncIterator[bytes]:
    """Yield the pages as they are made, those of a file at their time."""
    import trio

    from audio_server.clips.live_encoder import live_packets
    from audio_server.clips.ogg import opus_pages

    is_file = source != STDIN and await trio.Path(source).is_file()
    opened = sys.stdin.buffer if source == STDIN else source
    name = "standard input" if source == STDIN else source
    pages = opus_pages(live_packets(name, opened), randrange(1 << 32))
    begun, number = time.monotonic(), 0
    while page := await trio.to_thread.run_sync(next, pages, b"", abandon_on_cancel=True):
        if is_file:
            await trio.sleep(max(0.0, begun + number * PACKET_S - time.monotonic()))
        number += 1
        yield page
