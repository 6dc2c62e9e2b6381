"""All operations of the API, with the server's description of itself and of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cache
from importlib import metadata

import msgspec
from starlette.responses import Response

from audio_server.process.cores import worker_count
from audio_server.settings import Settings
from audio_server.web.api import models
from audio_server.web.api.announcements import AnnouncementOperations
from audio_server.web.api.channels import ChannelOperations
from audio_server.web.api.clips import ClipOperations
from audio_server.web.api.devices import DeviceOperations
from audio_server.web.api.groups import GroupOperations
from audio_server.web.api.judging import JudgeOperations
from audio_server.web.api.openapi import openapi
from audio_server.web.api.operation import ApiRequest, Content, Operation, operations_of
from audio_server.web.api.recordings import RecordingOperations
from audio_server.web.context import Context

DOCUMENT = Content("application/json", "an OpenAPI document", "object")


def all_operations(context: Context, *, login: bool) -> Sequence[Operation]:
    """All operations of a server; `login` says whether it asks for a token."""
    groups = (
        DeviceOperations(context),
        JudgeOperations(context),
        AnnouncementOperations(context),
        ChannelOperations(context),
        RecordingOperations(context),
        ClipOperations(context),
        GroupOperations(context),
    )
    others = [operation for group in groups for operation in operations_of(group)]
    return [*operations_of(AboutOperations(context, others, login=login)), *others]


class AboutOperations:
    """`others` are all operations but these."""

    def __init__(self, context: Context, others: Sequence[Operation], *, login: bool) -> None:
        self._context = context
        self._others = others
        self._login = login
        self._document = b""

    @Operation("GET", "/api/about", models.About)
    async def get_about(self, asked: ApiRequest) -> models.About:
        """Return the version and the properties of this server."""
        return models.About(
            "streaming-audio-server",
            version(),
            worker_count(self._context.settings.workers),
            self._login,
            self._context.closed_because,
            judge_command(self._context.settings, self._context.port),
        )

    @Operation("GET", "/api/openapi.json", DOCUMENT)
    async def get_openapi(self, asked: ApiRequest) -> Response:
        """This document."""
        if not self._document:
            document = openapi([*operations_of(self), *self._others], version())
            self._document = msgspec.json.encode(document)
        return Response(self._document, media_type="application/json")


def judge_command(settings: Settings, port: int) -> str:
    """Return the command of a judge at the address of this server, which has to be stopped then."""
    words = ["audio-server", "judge", "--host", settings.host, "--port", str(port)]
    files = ("--tls-cert", settings.tls_cert), ("--tls-key", settings.tls_key)
    for flag, file in (*files, ("--tls-client-ca", settings.tls_client_ca)):
        words += [] if file is None else [flag, str(file)]
    return shlex.join(words)


@cache
def version() -> str:
    """Of the server."""
    return metadata.version("streaming-audio-server")
