"""Errors of trio's socket streams that leave no reference cycle.

From Python 3.12 on, the frame of a generator that has ended keeps its caller's. trio translates the
errors of sockets in a generator (`contextlib.contextmanager`), whose caller holds the error as an
argument: the error leads to its frames, those to the caller, and the caller to the error. All that
the frames know of stays with them, a connection with its TLS state and buffers, until a full
collection, and those are rare (`process.gc_policy`). Any peer causes that by a reset.

The translation here is a class, and has the same result. Replacing trio's, rather than catching the
errors where streams are used, covers the errors that `trio.SSLStream` swallows as it closes.
"""

from __future__ import annotations

import errno
from types import TracebackType
from typing import Any, Final

import trio
from trio import _highlevel_socket

_CLOSED: Final = frozenset({errno.EBADF, errno.ENOTSOCK})
_NAME: Final = "_translate_socket_errors_to_stream_errors"


class TranslateErrors:
    """A block in which an `OSError` becomes the error of a trio stream. It has no state."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Raise `trio.ClosedResourceError` for a file that we have closed, and otherwise
        `trio.BrokenResourceError` from an `OSError`."""
        if not isinstance(error, OSError):
            return
        if error.errno in _CLOSED:
            raise trio.ClosedResourceError("this socket was already closed") from None
        raise trio.BrokenResourceError(f"socket connection broken: {error}") from error


def translate_without_cycles() -> None:
    """Have all socket streams of the process translate their errors so.

    This leans on trio 0.35: where its function has another name, nothing is changed, and broken
    connections wait for a full collection.
    """
    trio_module: Any = _highlevel_socket
    if hasattr(trio_module, _NAME):
        setattr(trio_module, _NAME, TranslateErrors)
