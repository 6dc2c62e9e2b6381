"""Files 0, 1 and 2 of this process: always open, and able to take every character."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from audio_server.process.encoding_errors import configure_encoding_errors
from audio_server.process.output import say_traceback

_NAMES = ("stdin", "stdout", "stderr")


def prepare_standard_files() -> None:
    """Do all that a command needs before it does anything else."""
    open_standard_files()
    configure_encoding_errors()
    sys.excepthook = say_traceback


def open_standard_files() -> None:
    """Open those that are closed on the null device.

    Call it before any other file is opened: the next socket would get the number of a closed one,
    and output would then go to a peer.
    """
    for fd, name in enumerate(_NAMES):
        if not _is_open(fd):
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number is free
        if getattr(sys, name) is None:
            stream = _text_file(fd)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _text_file(fd: int) -> TextIO:
    return open(fd, "w" if fd else "r", encoding="utf-8", closefd=False)
