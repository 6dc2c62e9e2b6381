"""One server over HTTP: requests, and streams of events.

Proxies and passwords that the environment names are left out: a token is for one server only.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx2
import trio

from audio_server.client.faults import NO_SERVER, faults_of, refusal
from audio_server.client.server import Server, ServerError
from audio_server.client.shapes import has_shape
from audio_server.identity.tls import client_context

CONNECT_S = 10.0
SILENT_S = 60.0
"""How long a server may say nothing: its streams have a comment every 15 s."""

EVENT_MAX_BYTES = 64 * 1024 * 1024
"""All devices come as one event; 10,000 of them are less than a fifth of this."""

BACKLOG = 100

JSON = {"content-type": "application/json"}

Document = dict[str, Any]
Event = tuple[str, Document]
Query = Mapping[str, str | int | float]


@asynccontextmanager
async def open_connection(server: Server) -> AsyncIterator[Connection]:
    """Return a client of `server`; sends nothing yet. Raises `SetupError` for a wrong `cafile`."""
    headers = {"authorization": f"Bearer {server.token}"} if server.token else {}
    async with httpx2.AsyncClient(
        base_url=server.url,
        headers=headers,
        verify=_trust(server),
        trust_env=False,
        timeout=httpx2.Timeout(SILENT_S, connect=CONNECT_S),
    ) as http:
        yield Connection(http, server)


def _trust(server: Server) -> ssl.SSLContext:
    if server.url.startswith("https:"):
        return client_context(server.cafile)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts no certificate, and is not used


def _content(body: object) -> bytes | None:
    """Return JSON. An argument that the locale could not decode is sent as the bytes it was, which
    are UTF-8 in most cases; the server refuses others."""
    if body is None:
        return None
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogateescape")


class Connection:
    """Made by `open_connection`. Each call raises `ServerError`, and nothing else."""

    def __init__(self, http: httpx2.AsyncClient, server: Server) -> None:
        self._http = http
        self._server = server

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        about: str | None = None,
        shape: Any = Document,
    ) -> Document:
        """Send a request and return the answer, which has the `shape` of a class of `shapes`.

        A refusal names its subject, `about`.
        """
        with faults_of(self._server):
            answer = await self._http.request(
                method, path, params=query, content=_content(body), headers=JSON
            )
        if not answer.is_success:
            raise refusal(self._server, answer, about)
        return self._document(answer.content, shape)

    async def send_file(
        self,
        path: str,
        parts: AsyncIterable[bytes],
        *,
        method: str = "POST",
        query: Query | None = None,
        shape: Any,
    ) -> Document:
        """Send a file as it comes, of any length, and return the answer."""
        with faults_of(self._server):
            answer = await self._http.request(method, path, params=query, content=parts)
        if not answer.is_success:
            raise refusal(self._server, answer)
        return self._document(answer.content, shape)

    @asynccontextmanager
    async def open_file(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a file as it comes, for the block."""
        with faults_of(self._server):
            async with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(self._server, answer)
                yield answer.aiter_bytes()

    @asynccontextmanager
    async def open_events(
        self,
        path: str,
        shape: Any,
        *,
        method: str = "GET",
        query: Query | None = None,
        body: object = None,
        about: str | None = None,
    ) -> AsyncIterator[Events]:
        """Give server-sent events until the server ends them.

        The block is in a nursery: an error of it arrives in a group.
        """
        content = _content(body)
        with faults_of(self._server):
            async with self._http.stream(
                method, path, params=query, content=content, headers=JSON
            ) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise refusal(self._server, answer, about)
                async with trio.open_nursery() as nursery:
                    send, receive = trio.open_memory_channel[Event | ServerError](BACKLOG)
                    nursery.start_soon(self._pump, answer, shape, send)
                    yield Events(receive)
                    nursery.cancel_scope.cancel()

    async def _pump(
        self,
        answer: httpx2.Response,
        shape: Any,
        send: trio.MemorySendChannel[Event | ServerError],
    ) -> None:
        """A task of its own: a listener that stops cancels it, and leaves nothing half-run."""
        async with send:
            try:
                with faults_of(self._server):
                    async for event in httpx2.EventSource(answer, max_event_size=EVENT_MAX_BYTES):
                        await send.send(self._event(event, shape))
            except ServerError as error:
                await send.send(error)

    def _event(self, event: httpx2.ServerSentEvent, shape: Any) -> Event | ServerError:
        """An odd one is no reason to stop reading: the generators of the library would be left as
        they are. The listener cancels the reader."""
        try:
            return event.event, self._document(event.data, shape)
        except ServerError as error:
            return error

    def _document(self, content: bytes | str, shape: Any) -> Document:
        try:
            document: Document | None = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        if document is None or not has_shape(document, shape):
            raise ServerError(f"{self._server.url}: {NO_SERVER}")
        return document


class Events:
    """An iterator of events, each a name and a document. Raises `ServerError`."""

    def __init__(self, receive: trio.MemoryReceiveChannel[Event | ServerError]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        try:
            event = await self._receive.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None
        if isinstance(event, ServerError):
            raise event
        return event
