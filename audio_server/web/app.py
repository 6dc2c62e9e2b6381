"""The routes, and the layers in front of them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from audio_server.metrics.text import CONTENT_TYPE
from audio_server.web.access import Access, Admitted
from audio_server.web.api.about import all_operations
from audio_server.web.api.live import LiveEvents
from audio_server.web.api.resource import routes as api_routes
from audio_server.web.browser_devices import BrowserDevices
from audio_server.web.context import Context
from audio_server.web.edge import Edge
from audio_server.web.files import Files
from audio_server.web.login_routes import login_routes
from audio_server.web.microphones import Microphones
from audio_server.web.not_found import answer_error
from audio_server.web.security_headers import SecurityHeaders


def make_app(context: Context, entry: Admitted) -> ASGIApp:
    """The application, and in front of it the gate that `entry` describes."""
    files = Files()
    routes = [*_health(context), *_metrics(context), *_pages(context, files)]
    api = api_routes(all_operations(context, login=entry.login is not None))
    app = Starlette(
        routes=[*routes, *login_routes(entry, files), *_streams(context), *api],
        exception_handlers={HTTPException: answer_error, Exception: answer_error},
    )
    app.router.redirect_slashes = False  # it would lead from https to http behind a proxy
    return SecurityHeaders(Edge(Access(app, entry)))


def _streams(context: Context) -> list[BaseRoute]:
    return [*LiveEvents(context.fleet).routes, *Microphones(context).routes]


def _health(context: Context) -> list[BaseRoute]:
    async def healthz(request: Request) -> Response:
        """The loop answers."""
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        """New devices are welcome."""
        if context.stop.is_set() or not context.ready.is_set():
            text = "draining" if context.stop.is_set() else "starting"
            return PlainTextResponse(f"{text}\n", status_code=503)
        return PlainTextResponse("ready\n")

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _metrics(context: Context) -> list[BaseRoute]:
    async def metrics(request: Request) -> Response:
        return Response(context.metrics(), media_type=CONTENT_TYPE)

    return [Route("/metrics", metrics)]


PAGES = {
    "/": "fleet.html",
    "/devices/{id}": "one.html",
    "/clips": "clips.html",
    "/device": "device.html",
}


def _pages(context: Context, files: Files) -> list[BaseRoute]:
    return [
        *(Route(path, files.page(name)) for path, name in PAGES.items()),
        WebSocketRoute("/device/socket", BrowserDevices(context).attend),
        Route("/static/{name}", files.static),
    ]
