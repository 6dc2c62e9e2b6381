"""Requests to an application, without sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

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
    body: bytes | str | dict[str, Any] = b"",
    *,
    address: str = "10.0.0.9",
    **headers: str,
) -> Answer:
    """One request, `client_s` once answered; `_` in the names of headers stands for `-`."""
    if isinstance(body, dict):
        headers = {"content_type": "application/json", **headers}
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    scope = scope_of(method, target, {"host": HOST, **headers}, address)
    sent: list[Message] = []
    asked = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        if not asked:
            await trio.sleep_forever()
        return asked.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    with trio.fail_after(10):
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
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "http_version": "1.1",
        "scheme": "http",
        "headers": pairs,
        "client": (address, 4711),
        "server": ("127.0.0.1", 8080),
    }
