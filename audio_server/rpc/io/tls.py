"""TLS streams that leave no reference cycle.

A `trio.SSLStream` keeps its handshake as a bound method of itself. As long as it does, the stream
with its OpenSSL state and buffers (20 to 48 KB) is freed by a garbage collection only, and old
objects are rarely collected (`process.gc_policy`). A connection that an unauthenticated peer opens
and closes must cost nothing, so every stream goes through one of these functions.
"""

from __future__ import annotations

from typing import Any, NoReturn

import trio


async def shake_hands(stream: trio.SSLStream[Any]) -> None:
    """Do the handshake of a stream, and break the stream's reference to itself, however it ends.

    Raises the errors of `do_handshake`. A cancel leaves the stream unusable, as it does there.
    """
    try:
        await stream.do_handshake()
    finally:
        break_cycle(stream)


def break_cycle(stream: object) -> None:
    """Let go of the handshake of a TLS stream, which was done or never will be.

    Other streams stay as they are. This leans on trio 0.35, whose `_Once` is called once: where
    it has another name, the stream waits for a full collection again.
    """
    once: Any = getattr(stream, "_handshook", None)
    if hasattr(once, "_afn"):
        once._afn = _refuse


async def _refuse() -> NoReturn:
    """The handshake of a stream that was given up before it began one."""
    raise trio.BrokenResourceError("the connection was given up before its handshake")
