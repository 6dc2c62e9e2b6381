"""Keys pressed on a terminal, one at a time, without Enter."""

from __future__ import annotations

import os
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import trio

_ESCAPE = b"\x1b"


@contextmanager
def single_keys(fd: int) -> Iterator[None]:
    """Keys of the terminal `fd` come at once and are not echoed; as before when left.

    Ctrl-C still interrupts. Ctrl-Z does nothing: a suspended device would freeze its server's
    audio, and leave the terminal as it is.
    """
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        _disable_suspend(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def _disable_suspend(fd: int) -> None:
    modes = termios.tcgetattr(fd)
    modes[6][termios.VSUSP] = b"\x00"
    termios.tcsetattr(fd, termios.TCSADRAIN, modes)


async def next_keys(fd: int) -> str:
    """The keys pressed since the last time, waiting for one; "" when the terminal is gone.

    Arrows and the like are no keys. A cancel loses none.
    """
    while True:
        await trio.lowlevel.wait_readable(fd)
        data = os.read(fd, 64)
        if not data.startswith(_ESCAPE):
            return data.decode("utf-8", "replace")
