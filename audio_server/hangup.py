"""SIGHUP: files are to be read anew, or the terminal is gone, and then it is the end."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
import trio

log = structlog.get_logger()


@asynccontextmanager
async def reload_on_hangup(
    reload: Callable[[], Awaitable[None]], stop: trio.Event
) -> AsyncIterator[None]:
    """Call `reload` on every SIGHUP as long as the block lasts, one call after the other.

    A server that was started in a terminal, and not to outlive it (nohup), sets `stop` instead
    when that has gone.
    """
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    has_terminal = not stays and _is_there_a_terminal()
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            nursery.start_soon(_obey, signals, reload, stop, has_terminal)
            yield
            nursery.cancel_scope.cancel()


async def _obey(
    signals: AsyncIterator[int],
    reload: Callable[[], Awaitable[None]],
    stop: trio.Event,
    has_terminal: bool,
) -> None:
    async for _ in signals:
        if has_terminal and not _is_there_a_terminal():
            log.warning("the terminal is gone")
            stop.set()
        else:
            await reload()


def _is_there_a_terminal() -> bool:
    """Whether this process belongs to a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
