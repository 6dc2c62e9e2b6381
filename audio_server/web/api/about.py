"""The server's description of itself and of its API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import metadata

import msgspec
from starlette.responses import Response

from audio_server.process.cores import worker_count
from audio_server.web.api import models
from audio_server.web.api.openapi import openapi
from audio_server.web.api.operation import ApiRequest, Content, Operation
from audio_server.web.context import Context

DOCUMENT = Content("application/json", "an OpenAPI document", "object")


class AboutOperations:
    """`others` are all operations but these."""

    def __init__(self, context: Context, others: Sequence[Operation], *, login: bool) -> None:
        self._context = context
        self._others = others
        self._login = login
        self._document = b""

    @property
    def all(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation("GET", "/api/about", self.get_about, models.About),
            Operation("GET", "/api/openapi.json", self.get_openapi, DOCUMENT),
        )

    async def get_about(self, asked: ApiRequest) -> models.About:
        """Return the version and the properties of this server."""
        return models.About(
            "streaming-audio-server",
            version(),
            worker_count(self._context.settings.workers),
            self._login,
            self._context.closed_because,
        )

    async def get_openapi(self, asked: ApiRequest) -> Response:
        """This document."""
        if not self._document:
            document = openapi([*self.all, *self._others], version())
            self._document = msgspec.json.encode(document)
        return Response(self._document, media_type="application/json")


@cache
def version() -> str:
    """Of the server."""
    return metadata.version("streaming-audio-server")
