"""What is answered where there is no page, or where a page fails: in words of our own."""

from __future__ import annotations

from typing import Any

import pytest
from api_kit import an_api
from asgi import ask, scope_of
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs

from audio_server.web.edge import FAILED, Edge, SessionEnded


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/clips/", "/clips"),
        ("/clips///", "/clips"),
        ("///", "/"),
        ("//clips/", "/clips"),
        ("/device/?id=a&x=%2F", "/device?id=a&x=%2F"),
        ("/devices/a%20b/", "/devices/a%20b"),
        ("/healthz/", "/healthz"),
        ("/static/common.css/", "/static/common.css"),
    ],
)
async def test_a_slash_too_many_leads_to_the_page_by_a_path(target: str, location: str) -> None:
    """With a scheme it would lead from https to http behind a proxy."""
    async with an_api() as api:
        answer = await ask(api.app, "GET", target)
        assert (answer.status, answer.headers["location"]) == (308, location)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/",
        "/\\evil.example/",
        "/%2F/evil.example/",
        "//evil.example/clips/",
        "/nothing/",
        "/static/",
        "/devices/",
    ],
)
async def test_what_is_no_page_leads_nowhere(target: str) -> None:
    async with an_api() as api:
        answer = await ask(api.app, "GET", target)
        assert (answer.status, answer.text) == (404, "there is no such page here\n")


async def test_a_method_that_no_page_takes() -> None:
    async with an_api() as api:
        answer = await ask(api.app, "DELETE", "/clips")
        assert (answer.status, answer.text) == (405, "this page does not take that method\n")
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def failing(error: BaseException, *, first: bool = False) -> ASGIApp:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return Edge(app)


@pytest.mark.parametrize(
    "error",
    [
        ClientDisconnect(),
        WebSocketDisconnect(),
        SessionEnded(),
        ExceptionGroup("", [ClientDisconnect(), ExceptionGroup("", [SessionEnded()])]),
    ],
)
async def test_a_client_that_is_gone_is_no_fault(error: Exception) -> None:
    with capture_logs() as logs:
        await failing(error, first=True)(scope_of("GET", "/", {}, "10.0.0.9"), _nothing, _take([]))
    assert logs == []


@pytest.mark.parametrize("first", [False, True])
async def test_a_fault_ends_its_request_alone(first: bool) -> None:
    sent: list[Message] = []
    with capture_logs() as logs:
        app = failing(ExceptionGroup("", [ClientDisconnect(), KeyError("own")]), first=first)
        await app(scope_of("GET", "/x", {}, "10.0.0.9"), _nothing, _take(sent))
    assert [(line["event"], line["peer"], line["path"]) for line in logs] == [
        ("request failed", "10.0.0.9", "/x")
    ]
    body = b"".join(message.get("body", b"") for message in sent)
    assert (sent[0]["status"], body) == ((200, b"") if first else (500, f"{FAILED}\n".encode()))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _take(sent: list[Message]) -> Any:
    async def send(message: Message) -> None:
        sent.append(message)

    return send
