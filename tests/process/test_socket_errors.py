"""The errors of trio's socket streams: translated as trio does, and free of reference cycles."""

from __future__ import annotations

import errno
import gc
import socket
import struct
import weakref
from collections.abc import Iterator

import pytest
import trio
from trio import _highlevel_socket

from audio_server.process.socket_errors import TranslateErrors, translate_without_cycles

ABORT = struct.pack("ii", 1, 0)
TRIOS = _highlevel_socket._translate_socket_errors_to_stream_errors


class Witness:
    """An object that a frame of a connection knows of."""


@pytest.fixture(autouse=True)
def translated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_highlevel_socket, TRIOS.__name__, TRIOS)
    translate_without_cycles()
    gc.disable()
    yield
    gc.enable()


def test_trio_translates_errors_where_they_are_replaced() -> None:
    name = "_translate_socket_errors_to_stream_errors"
    assert vars(_highlevel_socket)[name] is TranslateErrors


@pytest.mark.parametrize("code", [errno.EBADF, errno.ENOTSOCK, errno.EPIPE, errno.ECONNRESET])
def test_an_error_becomes_what_trio_makes_of_it(code: int) -> None:
    said = []
    for translate in (TRIOS, TranslateErrors):
        cause = OSError(code, "text")
        streams = (trio.ClosedResourceError, trio.BrokenResourceError)
        with pytest.raises(streams) as caught, translate():
            raise cause
        error = caught.value
        said.append((type(error), str(error), error.__cause__ is cause, error.__suppress_context__))
    assert said[0] == said[1]


def test_other_errors_and_none_pass() -> None:
    with TranslateErrors():
        pass
    with pytest.raises(KeyError), TranslateErrors():
        raise KeyError


async def test_a_reset_leaves_nothing_of_the_frames_it_went_through() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        peer = socket.create_connection(listener.socket.getsockname())
        stream = await listener.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    peer.close()
    witness = await _read_to_the_error(stream)
    await stream.aclose()
    assert witness() is None


async def _read_to_the_error(stream: trio.SocketStream) -> weakref.ref[Witness]:
    witness = Witness()
    try:
        await stream.receive_some(1)
    except trio.BrokenResourceError:
        return weakref.ref(witness)
    raise AssertionError("the peer did not reset")
