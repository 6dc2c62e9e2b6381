"""SIGHUP, where it means that files are to be read anew."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio

from audio_server.settings import Settings


@asynccontextmanager
async def reload_on_hangup(settings: Settings, *reloads: Callable[[], None]) -> AsyncIterator[None]:
    """Call `reloads` on every SIGHUP as long as the block lasts.

    Where there is nothing to read anew SIGHUP stays what it is when a terminal goes: the end.
    """
    if settings.tls_cert is None and settings.http_token_file is None:
        yield
        return
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            nursery.start_soon(_obey, signals, reloads)
            yield
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], reloads: Iterable[Callable[[], None]]) -> None:
    async for _ in signals:
        for reload in reloads:
            reload()
