"""SIGHUP: a request to read files again, or the loss of the terminal, which ends the server."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
import trio

from audio_server.process.sd_notify import reloading

log = structlog.get_logger()


@asynccontextmanager
async def reload_on_hangup(
    reload: Callable[[], Awaitable[None]], stop: trio.Event
) -> AsyncIterator[None]:
    """Call `reload` on every SIGHUP as long as the block lasts, one call after the other.

    A server that was started in a terminal, and not to outlive it (nohup), sets `stop` instead
    when that has gone.
    """
    has_terminal = not _is_to_outlive_it() and _is_there_a_terminal()
    # The receiver ends last: a task that has not run yet would find it closed.
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, reload, stop, has_terminal)
            yield
            nursery.cancel_scope.cancel()


async def put_off_hangups(
    until: trio.Event, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keep a SIGHUP from ending the process, and send it again once `until` is set.

    For as long as files are read for the first time: they may have changed behind their reader. By
    `until` a `reload_on_hangup` must have been entered, which then hears all of them itself; one
    that comes after that has been left is let go. Lasts until it is cancelled.
    """
    if _is_to_outlive_it():
        task_status.started()
        return
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGHUP) as signals:
            task_status.started()
            async for _ in signals:  # all are taken: those that wait at the end are sent again
                if not until.is_set():
                    nursery.start_soon(_send_again, until)


async def _send_again(until: trio.Event) -> None:
    await until.wait()
    signal.raise_signal(signal.SIGHUP)


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
            with reloading():
                await reload()


def _is_to_outlive_it() -> bool:
    """Whether this process was started (nohup) not to end with its terminal."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def _is_there_a_terminal() -> bool:
    """Whether this process belongs to a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
