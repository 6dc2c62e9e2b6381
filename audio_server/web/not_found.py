"""Answers for paths without a page, and for methods that a page does not take, in our own words.

An address with a slash too many leads to the one without. The redirect is a path: behind a proxy
only the browser knows whether it is https.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match

from audio_server.web.edge import FAILED

_WORDS = {
    404: "there is no such page here",
    405: "this page does not take that method",
    500: FAILED,
}


async def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to an error of Starlette or of a route."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 404 and (path := _without_slash(request)) is not None:
        return RedirectResponse(path, 308)
    text = _WORDS.get(status, "the request cannot be served")
    return PlainTextResponse(f"{text}\n", status, headers)


def _without_slash(request: Request) -> str | None:
    """The path and query of the page that is meant; None where there is none."""
    raw = request.scope.get("raw_path", b"").decode("ascii", "replace")
    path = "/" + raw.strip("/")
    if not raw.endswith("/") or "\\" in path or not _is_page(request):
        return None
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _is_page(request: Request) -> bool:
    app: Starlette = request.app
    path = "/" + request.scope["path"].strip("/")
    scope = {**request.scope, "path": path}
    return any(route.matches(scope)[0] is Match.FULL for route in app.router.routes)
