"""An interactive terminal: keys one at a time, without Enter, and a way out."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import trio

_ESCAPE = b"\x1b"
_SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])")
NO_NAMES: Mapping[bytes, str] = MappingProxyType({})


@contextmanager
def single_keys(fd: int) -> Iterator[None]:
    """Keys of the terminal `fd` come at once and are not echoed; as before when left.

    Ctrl-C still interrupts. Ctrl-Z does nothing: a suspended device would freeze its server's
    audio, and leave the terminal as it is.
    """
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        modes = termios.tcgetattr(fd)
        modes[6][termios.VSUSP] = b"\x00"
        termios.tcsetattr(fd, termios.TCSADRAIN, modes)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


async def next_keys(fd: int, named: Mapping[bytes, str] = NO_NAMES) -> str:
    """The keys pressed since the last time, waiting for one; "" when the terminal is gone.

    Arrows and the like are no keys, unless `named` has a letter for the bytes that they send. A
    cancel loses none.
    """
    while True:
        await trio.lowlevel.wait_readable(fd)
        data = os.read(fd, 64)
        if not data.startswith(_ESCAPE):
            return data.decode("utf-8", "replace")
        if keys := "".join(named.get(one, "") for one in _SEQUENCE.findall(data)):
            return keys


@contextmanager
def keyboard() -> Iterator[int]:
    """The terminal to read keys from, even where standard input is something else.

    Raises `OSError` where there is none.
    """
    if sys.stdin is not None and sys.stdin.isatty():
        yield sys.stdin.fileno()
        return
    fd = os.open("/dev/tty", os.O_RDWR)
    try:
        yield fd
    finally:
        os.close(fd)


async def cancel_on_signal(scope: trio.CancelScope) -> None:
    """A signal is one more way to quit, so that the terminal is left as it was."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async for _ in signals:
            scope.cancel()
