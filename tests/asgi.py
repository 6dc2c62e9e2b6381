"""Requests to an application, without sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import trio
from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:8080"


@dataclass
class Answer:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    body: bytes | str | dict[str, Any] | list[bytes] = b"",
    *,
    address: str = "10.0.0.9",
    scheme: str = "http",
    **headers: str,
) -> Answer:
    """One request; `_` in the names of headers stands for `-`.

    A body can come in parts; one whose last part is empty stops coming there.
    """
    if isinstance(body, dict):
        headers = {"content_type": "application/json", **headers}
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    parts = content if isinstance(content, list) else [content]
    scope = {**scope_of(method, target, {"host": HOST, **headers}, address), "scheme": scheme}
    sent: list[Message] = []
    asked = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    asked[-1]["more_body"] = not parts[-1] and len(parts) > 1

    async def receive() -> Message:
        if not asked:
            await trio.sleep_forever()
        return asked.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    with trio.fail_after(100):
        await app(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0].get("headers", [])}
    parts = [message.get("body", b"") for message in sent[1:]]
    return Answer(sent[0]["status"], head, b"".join(parts))


def scope_of(method: str, target: str, headers: dict[str, str], address: str) -> dict[str, Any]:
    """What ASGI says of a request; a method in lower case is a kind of scope."""
    path, _, query = target.partition("?")
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    kind = "websocket" if method == "WEBSOCKET" else "http"
    return {
        "type": kind,
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "http_version": "1.1",
        "scheme": "http",
        "headers": pairs,
        "client": (address, 4711),
        "server": ("127.0.0.1", 8080),
    }


@asynccontextmanager
async def listening(app: ASGIApp, target: str, **headers: str) -> AsyncIterator[Events]:
    """A stream of server-sent events; whoever leaves the block hangs up."""
    scope = scope_of("GET", target, {"host": HOST, **headers}, "10.0.0.9")
    to_us, events = trio.open_memory_channel[Message](100)
    gone = trio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, scope, receive, to_us.send)
        with trio.fail_after(60):
            start = await events.receive()
        assert start["status"] == 200
        yield Events(events)
        gone.set()


@asynccontextmanager
async def socketed(app: ASGIApp, target: str, **headers: str) -> AsyncIterator[Socket]:
    """A WebSocket of a page; whoever leaves the block hangs up."""
    scope = scope_of("WEBSOCKET", target, {"host": HOST, **headers}, "10.0.0.9")
    to_us, messages = trio.open_memory_channel[Message](100)
    say, said = trio.open_memory_channel[Message](1000)
    say.send_nowait({"type": "websocket.connect"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, scope, said.receive, to_us.send)
        yield Socket(messages, say)
        say.send_nowait({"type": "websocket.disconnect", "code": 1001})


class Socket:
    """What a page is sent, and what it sends."""

    def __init__(
        self, messages: trio.MemoryReceiveChannel[Message], say: trio.MemorySendChannel[Message]
    ) -> None:
        self._messages = messages
        self._say = say

    def send(self, *packets: bytes | str) -> None:
        """Send messages; as many as wait for the application at once."""
        for one in packets:
            kind = "text" if isinstance(one, str) else "bytes"
            self._say.send_nowait({"type": "websocket.receive", kind: one})

    async def next(self) -> Message:
        """The next message of ASGI."""
        with trio.fail_after(60):
            return await self._messages.receive()


class Events:
    """What comes in a stream."""

    def __init__(self, messages: trio.MemoryReceiveChannel[Message]) -> None:
        self._messages = messages

    async def next_text(self) -> str:
        """The next event or comment; the empty text is the end."""
        with trio.fail_after(60):
            message = await self._messages.receive()
        return message["body"].decode()

    async def next(self) -> tuple[str, Any]:
        """The name and the data of the next event."""
        while (text := await self.next_text()).startswith(":"):
            pass
        fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
        return fields["event"], json.loads(fields["data"])
