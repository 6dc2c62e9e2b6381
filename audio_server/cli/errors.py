"""The one place that turns the error of a command into a line and an exit status."""

from __future__ import annotations

import difflib
import sys

from cyclopts import App, CycloptsError, UnusedCliTokensError

from audio_server.client.server import ServerError
from audio_server.errors import SetupError, leaves
from audio_server.process.output import forget, say_error

REFUSED, USAGE, INTERRUPTED, READER_GONE = 1, 2, 128 + 2, 128 + 13


class CommandError(Exception):
    """A request of the user that cannot be fulfilled; `str()` is the line with the reason."""


def exit_status(error: BaseException) -> int | None:
    """Report `error` on standard error; `None` says that it is a bug and not reported."""
    causes = list(leaves(error))
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return INTERRUPTED
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        forget(sys.stdout)
        return READER_GONE
    lines = [_line(cause) for cause in causes]
    if None in lines:
        return None
    say_error(f"audio-server: {lines[0]}")
    return REFUSED if isinstance(causes[0], ServerError) else USAGE


def _line(error: BaseException) -> str | None:
    from audio_server.clips.errors import ClipError

    if isinstance(error, CycloptsError):
        return " ".join(_usage(error).split())
    if isinstance(error, (CommandError, ClipError, ServerError, SetupError)):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return None


def _usage(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return _unknown(error.unused_tokens[0], error.app)
    error.verbose = False
    return str(error)


def _unknown(word: str, app: App | None) -> str:
    """Name the source of a value: the library names flags only."""
    commands = [name for name in app or () if not name.startswith("-")]
    meant = difflib.get_close_matches(word, commands, 1)
    hint = f"Did you mean {meant[0]}?" if meant else "There is --help."
    return f"Unknown command or argument: {word}. {hint}"
