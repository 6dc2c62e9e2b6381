"""Bodies of requests: never more of one in memory than is right, nor of all together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
import trio
from starlette.requests import ClientDisconnect, HTTPConnection, Request

from audio_server.web.api.models import DEVICES_MAX
from audio_server.web.api.operation import Problem
from audio_server.web.api.wording import in_words, place_in_words

JSON_S: Final = 30.0
"""How long JSON may be on its way."""

PARTS_MIN: Final = 1000
BYTES_PER_PART: Final = 8
"""How small the parts of a body may be: so many of any size, then so many bytes each. Each costs a
turn of the loop."""

ENTRIES_MAX: Final = DEVICES_MAX + 100
"""How many values JSON may have. They are counted before it is unpacked, which takes ten times the
memory and would hold up the loop."""

FREE_BYTES: Final = 8 * 1024
"""Bytes that each body may have in any case: enough for a press or a Stop. Their number is that of
the connections."""

ALL_MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes beyond that, of all bodies on their way together."""

SILENT_S: Final = 30.0
"""How long a file may be on its way without a byte."""

DRAIN_MAX_BYTES: Final = 256 * 1024 * 1024
DRAIN_S: Final = 10.0


class BodyRoom:
    """The room for large bodies, which all requests share."""

    def __init__(self) -> None:
        self.taken_bytes = 0

    @contextmanager
    def body(self) -> Iterator[Body]:
        """A body, whose room is free again after the block."""
        body = Body(self)
        try:
            yield body
        finally:
            self.taken_bytes -= body.taken_bytes


class Body:
    """The bytes of one body so far."""

    def __init__(self, room: BodyRoom) -> None:
        self._room = room
        self._parts = 0
        self.data = bytearray()
        self.taken_bytes = 0

    def add(self, part: bytes, max_bytes: int) -> None:
        """Take the next part. Raises `Problem` where there is no room for it."""
        size = len(self.data) + len(part)
        if size > max_bytes:
            raise Problem(413, f"the body is larger than {_size(max_bytes)}")
        self._parts += 1
        if self._parts > PARTS_MIN + size // BYTES_PER_PART:
            raise Problem(413, "the body comes in too many small parts")
        self._take(max(0, size - FREE_BYTES) - self.taken_bytes)
        self.data += part

    def _take(self, more_bytes: int) -> None:
        if self._room.taken_bytes + more_bytes > ALL_MAX_BYTES:
            raise Problem(503, "too many large bodies are on their way; try again in a while")
        self._room.taken_bytes += more_bytes
        self.taken_bytes += more_bytes


async def read_json(request: Request, kind: type, max_bytes: int, room: BodyRoom) -> Any:
    """The body as a `kind`. Raises `Problem`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "the body has to be JSON, with content-type: application/json")
    refuse_packed(request)
    with room.body() as body:
        await read_body(request, body, max_bytes, JSON_S)
        return _decoded(body.data, kind)


def _decoded(data: bytearray, kind: type) -> Any:
    if data.count(b",") > ENTRIES_MAX:
        raise Problem(413, f"the JSON has more than {ENTRIES_MAX} values")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, in_words(error, "the body")) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, place_in_words(error)) from error
    except RecursionError as error:
        raise Problem(400, "the body is not JSON that fits: it is nested too deeply") from error


def read_query(request: HTTPConnection, kind: type) -> Any:
    """The parameters as a `kind`. Raises `Problem`."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        raise Problem(400, "a parameter is there twice")
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, in_words(error, "the parameters")) from error


def refuse_packed(request: Request) -> None:
    """Raises `Problem` for a body that would have to be unpacked."""
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise Problem(415, "the body has to come as it is, with no content-encoding")


async def read_body(request: Request, body: Body, max_bytes: int, within_s: float) -> None:
    """Read a body whole. Raises `Problem` for one that is too large, or not there `within_s`."""
    with trio.move_on_after(within_s) as waiting:
        async with aclosing(request.stream()) as parts:
            async for part in parts:
                body.add(part, max_bytes)
    if waiting.cancelled_caught:
        raise Problem(408, f"the body has not come within {within_s:.0f} s")


def _size(size_bytes: int) -> str:
    mib, kib = size_bytes >> 20, size_bytes >> 10
    return f"{mib} MiB" if mib else f"{kib} KiB"


class Parts:
    """A body as it comes in. Raises `Problem` when it stops coming, and `ClientDisconnect`."""

    def __init__(self, request: Request) -> None:
        """Raises `Problem` for a form, which is no file."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Problem(415, "the body has to be the file itself, not a form that has it")
        refuse_packed(request)
        self._request = request
        self._stream = request.stream()
        self._has_stopped = False

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> bytes:
        with trio.move_on_after(SILENT_S):
            return await anext(self._stream)
        self._has_stopped = True
        raise Problem(408, f"nothing of the body came for {SILENT_S:.0f} s")

    async def aclose(self) -> None:
        """Leave the rest where it is."""
        await self._stream.aclose()

    async def wait_gone(self) -> None:
        """Return when the client has gone. To be called when all parts have come."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def drain(self) -> None:
        """Read the rest and drop it: a client that is still sending would not read the answer."""
        drained = DRAIN_MAX_BYTES if self._has_stopped else 0
        with trio.move_on_after(DRAIN_S):
            try:
                while drained < DRAIN_MAX_BYTES:
                    drained += len(await anext(self._stream))
            except (StopAsyncIteration, ClientDisconnect):
                return


@asynccontextmanager
async def sent_file(request: Request) -> AsyncIterator[Parts]:
    """Give a body that is a file; the rest of it is read when the block fails with an error to
    answer. Raises `Problem` for a form."""
    async with aclosing(Parts(request)) as parts:
        try:
            yield parts
        except Exception:
            await parts.drain()
            raise
