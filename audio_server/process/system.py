"""The systems that the commands run on."""

from __future__ import annotations

import os

from audio_server.process.output import say_error

_USAGE = 2


def require_posix(command: str) -> None:
    """Leave with one line and status 2 on a system without POSIX locks, signals and terminals."""
    if os.name != "posix":
        say_error(f"{command}: Windows is not supported; use Linux, in WSL for example")
        raise SystemExit(_USAGE)
