"""`--mic` of `announce` and `live`: the microphone of this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from random import randrange
from typing import TYPE_CHECKING

import trio

from audio_server.clips.errors import ClipError
from audio_server.clips.microphone import NAME, open_microphone
from audio_server.clips.ogg import opus_bytes, opus_pages
from audio_server.process.output import say_error

if TYPE_CHECKING:
    from audio_server.client.api import Api

PACKETS_A_SECOND = 50
LONGEST_S = 600.0
"""The longest sound that a server announces."""


async def recorded(seconds: float | None) -> bytes:
    """Record until Enter, Ctrl-C, or for so many seconds; return a sound file.

    Raises `ClipError` where nothing was recorded.
    """
    most = round((seconds or LONGEST_S) * PACKETS_A_SECOND)
    packets: list[bytes] = []
    with open_microphone() as heard:
        say_error("Recording. Enter ends it." if seconds is None else "Recording.")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_at_signal, nursery.cancel_scope)
            if seconds is None:
                nursery.start_soon(_cancel_at_enter, nursery.cancel_scope)
            while len(packets) < most and (packet := await _next(heard)):
                packets.append(packet)
            nursery.cancel_scope.cancel()
    if not packets:
        raise ClipError(NAME, "nothing was recorded")
    return opus_bytes(packets)


async def send_microphone(api: Api, channel: str) -> float:
    """Send the microphone to a live channel until it is taken away; return its seconds."""
    with open_microphone() as heard:
        say_error("Live. Ctrl-C ends it.")
        pages = opus_pages(heard, randrange(1 << 32))
        return await api.send_live(channel, _in_threads(pages))


async def _next(packets: Iterator[bytes]) -> bytes:
    """Return the next packet, which a cancel waits for: it comes within 20 ms."""
    return await trio.to_thread.run_sync(next, packets, b"")


async def _in_threads(pages: Iterator[bytes]) -> AsyncIterator[bytes]:
    while page := await _next(pages):
        yield page


async def _cancel_at_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


async def _cancel_at_enter(scope: trio.CancelScope) -> None:
    """An input that ends is no Enter: a service has none."""
    with suppress(OSError, ValueError):  # a file, or no input at all
        descriptor = sys.stdin.fileno()
        await trio.lowlevel.wait_readable(descriptor)
        if os.read(descriptor, 4096):
            scope.cancel()
