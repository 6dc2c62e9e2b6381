"""The pages' own files. They are few and small, so they are read once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from mimetypes import guess_type
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

STATIC = Path(__file__).parent / "static"


class Files:
    """The files in `static/`, by name. A browser asks each time whether a file is still the
    same."""

    def __init__(self) -> None:
        self._contents = {path.name: path.read_bytes() for path in STATIC.iterdir()}
        self._tags = {
            name: f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            for name, content in self._contents.items()
        }

    async def static(self, request: Request) -> Response:
        """The file that the path names."""
        return self.answer(request, request.path_params["name"])

    def page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return an application that answers every request with one file."""

        async def page(request: Request) -> Response:
            return self.answer(request, name)

        return page

    def answer(self, request: Request, name: str) -> Response:
        """The file, or that it has not changed, or that there is none."""
        if name not in self._contents:
            return PlainTextResponse("not found\n", status_code=404)
        headers = {"etag": self._tags[name], "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == self._tags[name]:
            return Response(status_code=304, headers=headers)
        kind = "text/javascript" if name.endswith(".js") else guess_type(name)[0]
        return Response(self._contents[name], headers=headers, media_type=kind)
