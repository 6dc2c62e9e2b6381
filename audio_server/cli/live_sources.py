"""The sources of `audio-server live`, each read and encoded in worker threads.

A URL of a stream is opened again for ever. Between two openings the channel has no sender, so that
the patience of the channel (`live_patience_s`) decides how long devices wait in silence.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from random import randrange
from typing import BinaryIO, cast

import trio

from audio_server.client.api import Api
from audio_server.clips.errors import ClipError
from audio_server.clips.live_encoder import live_packets, web_packets
from audio_server.clips.ogg import opus_pages
from audio_server.clips.web_address import Addresses, shown
from audio_server.clips.web_source import SILENT_S, StreamBroke, open_web
from audio_server.process.output import say_error

PACKET_S = 0.02
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
STEADY_S = 10.0
"""Sound after which a stream was well: the next pause is the first one again."""

OPENING_S = 30.0
"""For the way through lists and redirects to the first sound."""


async def send_file(api: Api, channel: str, path: str) -> float:
    """Send a file in real time; return its seconds. Raises `ClipError` and `ServerError`."""
    async with await trio.Path(path).open("rb") as opened:
        file = cast(BinaryIO, opened.wrapped)
        pages = opus_pages(live_packets(path, file), randrange(1 << 32))
        return await api.send_live(channel, _in_time(_in_threads(pages)))


async def send_pipe(api: Api, channel: str) -> float:
    """Send standard input as it comes."""
    packets = live_packets("standard input", sys.stdin.buffer)
    return await api.send_live(channel, _in_threads(opus_pages(packets, randrange(1 << 32))))


async def send_web(api: Api, channel: str, addresses: Addresses) -> float:
    """Send the sound of a URL, a stream again whenever it breaks off.

    Returns at the end of a file, and never for a stream. Raises `ClipError` for a URL that never
    gave sound, and `ServerError`.
    """
    total_s, pause_s = 0.0, FIRST_PAUSE_S
    while True:
        opening = _Opening(addresses)
        async with aclosing(opening.pages()) as pages:
            if (first := await anext(pages, None)) is not None:
                sent_s = await api.send_live(channel, _joined(first, pages))
                total_s += sent_s
                pause_s = FIRST_PAUSE_S if sent_s >= STEADY_S else pause_s
        if opening.failure is None:
            return total_s
        if not total_s:
            raise opening.failure
        say_error(f"audio-server: {opening.failure}; opened again in {pause_s:g} s")
        await trio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class _Opening:
    """A URL opened once. `failure` says why its sound has ended, None for an end of its own."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._name = shown(addresses.url)
        self.failure: ClipError | None = None

    async def pages(self) -> AsyncGenerator[bytes, None]:
        """Yield pages until the sound ends; raises nothing, so that the request that sends them
        ends well. A thread that waits for the network is left behind."""
        made = self._made()
        try:
            with trio.fail_after(OPENING_S):
                heads = [await _next(made) for _ in range(3)]  # with the first sound
            if not heads[-1]:
                raise ClipError(self._name, "has no sound")
            yield b"".join(heads)
            while True:
                with trio.fail_after(SILENT_S):
                    page = await _next(made)
                if not page:
                    return
                yield page
        except ClipError as error:
            self.failure = error
        except trio.TooSlowError:
            self.failure = StreamBroke(self._name, "has stopped coming")

    def _made(self) -> Iterator[bytes]:
        with open_web(self._addresses, SILENT_S) as source:
            yield from opus_pages(web_packets(self._name, source), randrange(1 << 32))


async def _next(pages: Iterator[bytes]) -> bytes:
    return await trio.to_thread.run_sync(next, pages, b"", abandon_on_cancel=True)


async def _in_threads(pages: Iterator[bytes]) -> AsyncIterator[bytes]:
    while page := await _next(pages):
        yield page


async def _in_time(pages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield each page at its time."""
    begun, number = time.monotonic(), 0
    async for page in pages:
        await trio.sleep(max(0.0, begun + number * PACKET_S - time.monotonic()))
        number += 1
        yield page


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for page in rest:
        yield page
