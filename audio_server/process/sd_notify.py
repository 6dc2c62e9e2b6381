"""Messages to a service manager, by systemd's protocol (sd_notify(3)).

A unit with `Type=notify` learns when devices are served, when files are read again and when the end
begins; with `WatchdogSec=` it also learns that the loop runs, and replaces a process whose loop
hangs. Without `NOTIFY_SOCKET` nothing is sent.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import trio

START_S = 60.0
"""How much longer the manager is asked to wait while clips are prepared, again and again."""

STOP_S = 30.0
"""Time that the end may take beyond the grace time."""


def notify(*lines: str) -> bool:
    """Send a message to the service manager, if there is one; return whether it was sent.

    Never blocks and never raises: a manager that does not listen is not our fault.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # Linux' abstract names
        address = "\0" + address[1:]
    with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.sendto("\n".join(lines).encode(), address)
        return True
    return False


def watchdog_s() -> float | None:
    """Return how long the manager waits for a sign of life; None if it waits for none of ours."""
    asked_pid, usec = os.environ.get("WATCHDOG_PID"), os.environ.get("WATCHDOG_USEC", "")
    if asked_pid not in (None, "", str(os.getpid())) or not usec.isdecimal() or not int(usec):
        return None
    return int(usec) / 1e6


async def keep_manager_informed(serving: trio.Event, stop: trio.Event, grace_s: float) -> None:
    """Tell the manager of the start, of the loop and of the end, until cancelled."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_beat)
        async with trio.open_nursery() as starting:
            starting.start_soon(_ask_for_time)
            await serving.wait()
            starting.cancel_scope.cancel()
        notify("READY=1", "STATUS=Serving devices")
        await stop.wait()
        extra_usec = round((grace_s + STOP_S) * 1e6)
        notify("STOPPING=1", f"EXTEND_TIMEOUT_USEC={extra_usec}", "STATUS=Draining")


async def _ask_for_time() -> NoReturn:
    """Have the manager wait on: to prepare many clips takes minutes, the first time."""
    while True:
        notify(f"EXTEND_TIMEOUT_USEC={round(START_S * 1e6)}", "STATUS=Preparing clips")
        await trio.sleep(START_S / 3)


async def _beat() -> None:
    """Say from the loop that it runs, twice as often as is asked for."""
    if (within_s := watchdog_s()) is None:
        return
    while True:
        notify("WATCHDOG=1")
        await trio.sleep(within_s / 2)


@contextmanager
def reloading() -> Iterator[None]:
    """A block in which files are read again."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        notify("READY=1")
