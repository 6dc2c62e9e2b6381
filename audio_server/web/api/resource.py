"""One path: its operations, by method, and the edge where their errors end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from audio_server.clips.errors import (
    ClipError,
    ClipsChanged,
    ClipsFixed,
    ClipsUnavailable,
    ClipTooLarge,
    NoSuchClip,
    UploadTooSlow,
)
from audio_server.clips.speech import CannotSpeak
from audio_server.fleet.interface import NotKept, NotReached
from audio_server.fleet.names import BadName
from audio_server.groups.interface import GroupRefused, GroupsUnavailable
from audio_server.web.api.bodies import BodyRoom, read_json, read_query
from audio_server.web.api.operation import ApiRequest, Operation, Problem
from audio_server.web.edge import FAILED
from audio_server.web.origins import peer_of

JSON: Final = "application/json"

_STATUSES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (NoSuchClip, 404),
    (ClipTooLarge, 413),
    (UploadTooSlow, 408),
    (ClipsFixed, 403),
    (ClipsChanged, 409),
    (ClipsUnavailable, 503),
    (CannotSpeak, 503),
    (ClipError, 422),
    (BadName, 422),
    (GroupRefused, 409),
    (GroupsUnavailable, 503),
    (NotReached, 503),
    (NotKept, 503),
)
"""Errors that are the fault of a request, and the status that says so; the first that fits."""

log = structlog.get_logger()


def routes(operations: Sequence[Operation]) -> list[BaseRoute]:
    """A route for each path, those without parameters first, and one for all that is not there."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    paths = sorted(by_path, key=lambda path: "{" in path)
    room = BodyRoom()
    found: list[BaseRoute] = [Route(path, Resource(by_path[path], room)) for path in paths]
    return [*found, Route("/api{rest:path}", Resource({}, room))]


class Resource:
    """An ASGI application that answers for one path."""

    def __init__(self, operations: Mapping[str, Operation], room: BodyRoom) -> None:
        self._operations = dict(operations)
        self._room = room
        reads = operations.get("GET")
        if reads is not None and not reads.streams:
            self._operations["HEAD"] = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return  # the client is gone
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._do(request)
        except ClientDisconnect:
            raise
        except Exception as error:
            if (problem := _problem_of(error)) is not None:
                return self._said(problem)
            facts = {"method": request.method, "path": request.url.path}
            log.exception("request failed", peer=peer_of(request), **facts)
            return self._said(Problem(500, FAILED))

    def _said(self, problem: Problem) -> Response:
        headers = dict(problem.headers)
        if problem.status == 405:
            headers["allow"] = ", ".join(sorted(self._operations))
        return answer_json({"error": str(problem)}, problem.status, headers)

    async def _do(self, request: Request) -> Response:
        operation = self._operations.get(request.method)
        if operation is None and self._operations:
            raise Problem(405, f"{request.method} is not for this; see /api/openapi.json")
        if operation is None:
            raise Problem(404, "there is no such thing here; see /api/openapi.json")
        query = read_query(request, operation.query)
        body = None
        if isinstance(operation.body, type):
            body = await read_json(request, operation.body, operation.json_max_bytes, self._room)
        result = await operation.does(ApiRequest(request, query, body))
        return result if isinstance(result, Response) else answer_json(result)


def _problem_of(error: Exception) -> Problem | None:
    """Return the answer to an error; None for a fault of the server."""
    if isinstance(error, Problem):
        return error
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return Problem(status, str(error))
    return None


def answer_json(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that is JSON."""
    return Response(msgspec.json.encode(content), status, headers, JSON)
