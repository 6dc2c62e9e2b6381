"""The routes, and what every answer says for safety's sake."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audio_server.metrics.text import CONTENT_TYPE
from audio_server.web.address import may_be_named
from audio_server.web.browsers import Browsers
from audio_server.web.files import Files
from audio_server.web.fleet_routes import fleet_routes
from audio_server.web.house import House

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def make_app(house: House, *, loopback: bool) -> ASGIApp:
    """The application; `loopback` says that it listens on nothing else."""
    routes = [*_health(house), *_metrics(house), *_pages(house)]
    app = Starlette(routes=[*routes, *fleet_routes(house, loopback=loopback)])
    return Careful(app, loopback_only=loopback)


def _health(house: House) -> list[BaseRoute]:
    async def healthz(request: Request) -> Response:
        """The loop answers."""
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        """New devices are welcome."""
        if house.stop.is_set() or not house.ready.is_set():
            text = "draining" if house.stop.is_set() else "starting"
            return PlainTextResponse(f"{text}\n", status_code=503)
        return PlainTextResponse("ready\n")

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _metrics(house: House) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        return Response(house.metrics(), media_type=CONTENT_TYPE)

    return [Route("/metrics", metrics)]


def _pages(house: House) -> list[BaseRoute]:
    files = Files()

    async def fleet(request: Request) -> Response:
        return files.answer(request, "fleet.html")

    async def device(request: Request) -> Response:
        return files.answer(request, "device.html")

    return [
        Route("/", fleet),
        Route("/device", device),
        WebSocketRoute("/device/socket", Browsers(house).attend),
        Route("/static/{name}", files.static),
    ]


class Careful:
    """Refuses requests that call this server by a name it cannot have; adds `HEADERS`."""

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app = app
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host")
        if may_be_named(host, loopback_only=self._loopback_only):
            await self._app(scope, receive, _adding_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            refusal = PlainTextResponse("this server has another name\n", status_code=421)
            await refusal(scope, receive, send)


def _adding_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-cache")
        await send(message)

    return wrapped
