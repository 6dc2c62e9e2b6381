"""Small files of settings and secrets, written by others: read within bounds, with one kind of
error for any other content. Everything here blocks, but never for long.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from audio_server.errors import SetupError

TOKEN_MAX = 512
"""How long a token may be, in characters."""

_TOKEN_FILE_MAX_BYTES = 4096

# The longer mark first: it begins with the shorter one.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class FileMissing(SetupError):
    """There is no such file."""


def read_small(path: Path, max_bytes: int, *, pipes: bool = False) -> bytes:
    """Return the content of a file; with `pipes` also of a pipe, which then is waited for.

    Raises `FileMissing`, or another `SetupError` for anything else that is not a readable file of
    at most `max_bytes`.
    """
    try:
        return _read(path, max_bytes, pipes)
    except FileNotFoundError as error:
        raise FileMissing(path, error.strerror or str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SetupError(path, getattr(error, "strerror", None) or str(error)) from error


def _read(path: Path, max_bytes: int, pipes: bool) -> bytes:
    # Without O_NONBLOCK opening a pipe would wait for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise SetupError(path, "Is a directory")
        if not (stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode))):
            raise SetupError(path, "is not a regular file")
        os.set_blocking(fd, True)
        with os.fdopen(fd, "rb", closefd=False) as file:
            content = file.read(max_bytes + 1)
    finally:
        os.close(fd)
    if len(content) > max_bytes:
        raise SetupError(path, f"is larger than {max_bytes} bytes")
    return content


def read_token(path: Path, *, least: int = 1, pipes: bool = False) -> str:
    """Return the token of `least` characters or more that a file holds, without white space around
    it. Raises `SetupError`."""
    try:
        token = text_of(read_small(path, _TOKEN_FILE_MAX_BYTES, pipes=pipes)).strip()
    except UnicodeDecodeError as error:
        raise SetupError(path, "holds no token: it is not ASCII") from error
    if not token.isascii():
        raise SetupError(path, "holds no token: it is not ASCII")
    if not least <= len(token) <= TOKEN_MAX:
        raise SetupError(path, f"holds no token: it needs {least} to {TOKEN_MAX} characters")
    if not is_token(token):
        raise SetupError(path, "holds no token: it is not one word")
    return token


def is_token(text: str) -> bool:
    """Return whether a header can carry it."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def text_of(content: bytes) -> str:
    """Return the text of a file in UTF-8, or in the encoding that its byte order mark names; the
    mark is left out. Raises `UnicodeDecodeError`."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    return content.decode()
