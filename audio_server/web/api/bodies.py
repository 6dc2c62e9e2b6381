"""Bodies of requests: never more of one in memory than is right."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, Final

import msgspec
import trio
from starlette.requests import ClientDisconnect, Request

from audio_server.web.api.operation import Problem

JSON_MAX_BYTES: Final = 8 * 1024 * 1024
"""Room for the ids of more devices than a server takes."""

JSON_S: Final = 30.0
"""How long JSON may be on its way."""

SILENT_S: Final = 30.0
"""How long a file may be on its way without a byte."""

DRAIN_MAX_BYTES: Final = 256 * 1024 * 1024
DRAIN_S: Final = 10.0


async def read_json(request: Request, kind: type) -> Any:
    """The body as a `kind`. Raises `Problem`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "the body has to be JSON, with content-type: application/json")
    body = await _read(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"the body is not JSON: {error}") from error


def read_query(request: Request, kind: type) -> Any:
    """The parameters as a `kind`. Raises `Problem`."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(names) != len(set(names)):
        raise Problem(400, "a parameter is there twice")
    try:
        return msgspec.convert(dict(request.query_params), kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, str(error)) from error


async def _read(request: Request) -> bytes:
    with trio.move_on_after(JSON_S):
        return await _read_all(request)
    raise Problem(408, f"the body has not come within {JSON_S:.0f} s")


async def _read_all(request: Request) -> bytes:
    body = bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > JSON_MAX_BYTES:
                raise Problem(413, f"the body is larger than {JSON_MAX_BYTES >> 20} MiB")
    return bytes(body)


class Parts:
    """A body as it comes in. Raises `Problem` when it stops coming, and `ClientDisconnect`."""

    def __init__(self, request: Request) -> None:
        """Raises `Problem` for a form, which is no file."""
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise Problem(415, "the body has to be the file itself, not a form that has it")
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

    async def drain(self) -> None:
        """Take the rest and forget it: who is still sending would not hear the answer."""
        drained = DRAIN_MAX_BYTES if self._has_stopped else 0
        with trio.move_on_after(DRAIN_S):
            try:
                while drained < DRAIN_MAX_BYTES:
                    drained += len(await anext(self._stream))
            except (StopAsyncIteration, ClientDisconnect):
                return
