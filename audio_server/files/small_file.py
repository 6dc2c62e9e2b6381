"""Small files of settings and secrets, written by others: read within bounds, with one kind of
error for any other content. Everything here blocks, but never for long.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from audio_server.errors import SetupError

# The longer mark first: it begins with the shorter one.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_small(path: Path, max_bytes: int, *, pipes: bool = False) -> bytes:
    """Return the content of a file; with `pipes` also of a pipe, which then is waited for.

    Raises `FileNotFoundError`, and `SetupError` for anything else that is not a readable file of
    at most `max_bytes`.
    """
    try:
        return _read(path, max_bytes, pipes)
    except FileNotFoundError:
        raise
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


def text_of(content: bytes) -> str:
    """Return the text of a file in UTF-8, or in the encoding that its byte order mark names; the
    mark is left out. Raises `UnicodeDecodeError`."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding)
    return content.decode()
