"""All devices of a server on a terminal, live."""

from __future__ import annotations

import trio
from rich.console import Console
from rich.live import Live

from audio_server.client.api import Api, open_api
from audio_server.client.overview import Order, Overview, Scroll
from audio_server.client.server import Server, ServerError
from audio_server.client.watched import Watched
from audio_server.process.terminal import cancel_on_signal, next_keys

FRAME_S = 0.5
AGAIN_S = 1.0
"""How long until a server that is gone is asked again."""

QUIT = "qQ\x04"

SCROLLS = {
    b"\x1b[A": "k", b"\x1bOA": "k", b"\x1b[B": "j", b"\x1bOB": "j",
    b"\x1b[5~": "\x02", b"\x1b[6~": "\x06",
    b"\x1b[H": "g", b"\x1bOH": "g", b"\x1b[1~": "g",
    b"\x1b[F": "G", b"\x1bOF": "G", b"\x1b[4~": "G",
}  # fmt: skip
"""Arrows, Page Up and Down, Home and End, as the keys that vi and less have for the same."""


async def top(server: Server, keyboard: int, console: Console, order: Order) -> None:
    """Show the devices on `console` until a key of `keyboard`, or a signal, says to quit.

    Raises `ServerError` where the server cannot be watched; one that goes later is waited for.
    """
    watched, known, scroll = Watched(), trio.Event(), Scroll()
    async with open_api(server) as api, trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_signal, nursery.cancel_scope)
        nursery.start_soon(_watch, api, watched, known)
        await known.wait()
        with _live(console, Overview(watched, order, server.url, scroll)) as live:
            nursery.start_soon(_refresh, live)
            await _obey(keyboard, order, scroll, live)
        nursery.cancel_scope.cancel()


def _live(console: Console, overview: Overview) -> Live:
    return Live(
        overview,
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )


async def _watch(api: Api, watched: Watched, known: trio.Event) -> None:
    """Keep `watched` up to date for ever; raises only until something is `known`."""
    while True:
        try:
            async with api.changes() as events:
                async for event, document in events:
                    watched.feed(event, document)
                    known.set()
            watched.lost = "the server has ended this"
        except* ServerError as errors:
            if not known.is_set():
                raise
            watched.lost = str(errors.exceptions[0])
        await trio.sleep(AGAIN_S)


async def _refresh(live: Live) -> None:
    while True:
        await trio.sleep(FRAME_S)
        live.refresh()


async def _obey(keyboard: int, order: Order, scroll: Scroll, live: Live) -> None:
    while keys := await next_keys(keyboard, SCROLLS):
        for key in keys:
            if key in QUIT:
                return
            order.obey(key)
            scroll.obey(key)
        live.refresh()
