"""The fleet over HTTP: its page, its stream of changes, and a press of a button."""

from __future__ import annotations

import json
from contextlib import aclosing

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from audio_server.device.rules import Button
from audio_server.fleet.interface import Fleet, Outcome
from audio_server.web.house import House

KEEP_ALIVE_S = 15.0
BODY_MAX_BYTES = 200


def fleet_routes(house: House) -> list[BaseRoute]:
    """What is asked and told of devices."""

    async def changes(request: Request) -> Response:
        if house.fleet.is_full:
            return PlainTextResponse("too many pages watch already\n", status_code=503)
        return Changes(house.fleet)

    async def about(request: Request) -> Response:
        return JSONResponse({"actions": True})

    async def press(request: Request) -> Response:
        button = _button(await _body(request))
        if button is None:
            return PlainTextResponse('{"button": "mode"}, stop, play or connect\n', status_code=400)
        return _said(await house.fleet.press(request.path_params["id"], button))

    return [
        Route("/api/about", about),
        Route("/api/devices/changes", changes),
        Route("/api/devices/{id}/press", press, methods=["POST"]),
    ]


class Changes(Response):
    """The stream of changes, until the page is gone or the fleet lets go of it."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(media_type="text/event-stream")
        del self.headers["content-length"]
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        with self._fleet.watching() as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
                while (event := await _next(events)) is not None:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                nursery.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _next(events: trio.MemoryReceiveChannel[bytes]) -> bytes | None:
    """The next event, or a comment when there is none for long; None when it is over."""
    try:
        with trio.move_on_after(KEEP_ALIVE_S):
            return await events.receive()
    except trio.EndOfChannel:
        return None
    return b": still there\n\n"


async def _cancel_when_gone(receive: Receive, watching: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watching.cancel()


async def _body(request: Request) -> bytes:
    """The body, or what of it is more than any that is right."""
    body = b""
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            body += part
            if len(body) > BODY_MAX_BYTES:
                break
    return body


def _button(body: bytes) -> Button | None:
    try:
        return Button[str(json.loads(body)["button"]).upper()]
    except (ValueError, KeyError, TypeError):
        return None


def _said(outcome: Outcome) -> Response:
    if outcome.result == "gone":
        return PlainTextResponse("no such device is connected\n", status_code=404)
    if outcome.result == "failed":
        return PlainTextResponse(f"{outcome.reason}\n", status_code=409)
    return JSONResponse({"result": "done"})
