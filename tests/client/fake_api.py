"""A server's HTTP API without a server: what it is asked is kept, what it answers is set."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from audio_server.identity.dev_certs import Pair

NOW = 1_800_000_000.0
SOUND = b"OggS" + bytes(200_000)


def row(device_id: str, **facts: Any) -> dict[str, Any]:
    """A device as the API tells of it: idle, in mode 2."""
    known = {
        "id": device_id, "name": None, "connected": True, "address": "10.0.0.7:51234",
        "worker": None, "since": NOW - 3700, "mode": 2, "mode_name": "triangle", "state": "idle",
        "playing": None, "leds": ["#ffffffff", "#00ff00ff", "#00000000", *["#0000ff80"] * 3],
        "confirmed": None, "last_press": None, "battery": None, "lead_ms": None,
        "round_trip_ms": None, "errors": 0, "last_error": None, "corrections": 0,
        "streams": ["status", "events", "audio"],
    }  # fmt: skip
    return known | facts


def playing(device_id: str, **facts: Any) -> dict[str, Any]:
    """A device that plays, a second into a clip of 12."""
    take = {"clip": "bell", "mode": 3, "seconds": 12.3, "position_s": 1.2, "at": NOW}
    return row(device_id, **{"state": "playing", "playing": take, "lead_ms": 280} | facts)


def event(seq: int, device_id: str, text: str) -> dict[str, Any]:
    """Something that happened to a device."""
    return {"seq": seq, "at": NOW + seq, "device": device_id, "kind": "press", "text": text}


def said(document: Any, status: int = 200) -> Response:
    """An answer; JSON in ASCII can hold what UTF-8 cannot."""
    return Response(json.dumps(document), status, media_type="application/json")


class FakeServer:
    """`asked` is every request with a body or a query. An answer in `refusals` comes first."""

    def __init__(self, token: str | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.recordings: list[dict[str, Any]] = []
        self.group: dict[str, Any] | None = None
        self.past: list[dict[str, Any]] = []
        self.streamed: list[tuple[str, dict[str, Any]]] = []
        self.stays = False
        self.page: int | None = None
        self.missing: list[str] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.heard: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"done": 1, "gone": [], "failed": {}}
        self.channels: list[dict[str, Any]] = []
        self.refusal: Response | None = None
        self.url = ""
        self._token = token

    async def attend(self, request: Request) -> Response:
        """Every route there is."""
        if self._token and request.headers.get("authorization") != f"Bearer {self._token}":
            return said({"error": "log in"}, 401)
        if request.url.path == "/api/sounds":
            self.sent.append((request.query_params["name"], await request.body()))
            return self.refusal or said({"sound": "s1", "seconds": 1.0})
        if request.method == "PUT":
            data = await request.body()
            self.sent.append((request.url.path.removeprefix("/api/"), data))
            return self.refusal or said({"seconds": data.count(b"OggS") * 0.02 - 0.04})
        body = json.loads((await request.body()).decode(errors="replace") or "null")
        self.asked.append((request.method, request.url.path, body or dict(request.query_params)))
        return self.refusal or self._answer(request)

    def _answer(self, request: Request) -> Response:
        path, row = request.url.path, {one["id"]: one for one in self.rows}
        if path.endswith(("/changes", "/judge")) or "follow" in request.query_params:
            return StreamingResponse(self._stream(), media_type="text/event-stream")
        if path.endswith("/events"):
            return said({"now": NOW, "events": self.past})
        if path.startswith("/api/announcements/"):
            return said(self.heard.pop(0))
        if path == "/api/live":
            return said({"channels": self.channels})
        if path.startswith("/api/groups"):
            return self._groups(path)
        if path == "/api/recordings":
            return said({"recordings": self.recordings})
        if path.endswith("/sound"):
            return Response(SOUND)
        if path == "/api/devices":
            at = int(request.query_params.get("cursor", 0))
            rows, more = self.rows[at:][: self.page], self.page and at + self.page
            listed = {"now": NOW, "rows": rows}
            listed |= {"missing": self.missing} if self.missing else {}
            return said(listed | ({"next": str(more)} if more and more < len(self.rows) else {}))
        if request.method == "GET":
            return said(row[path.rpartition("/")[2]])
        return said(self.answer)

    def _groups(self, path: str) -> Response:
        if path != "/api/groups":
            return said(self.group)
        missing = {key: one for key, one in (self.group or {}).items() if key == "missing"}
        return said({"groups": [self.group] if self.group else [], **missing})

    async def _stream(self) -> AsyncIterator[str]:
        yield ": hello\n\n"
        for name, document in self.streamed:
            yield f"event: {name}\ndata: {json.dumps(document)}\n\n"
        if self.stays:
            await trio.sleep_forever()


@contextmanager
def served(fake: FakeServer, cert: Pair | None = None) -> Iterator[None]:
    """Serve it on loopback, in a thread with a loop of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if cert else "http"
    fake.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/api/{path:path}", fake.attend, methods=methods)])
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.Logger("silent")  # another test may have logs on standard error
    config.graceful_timeout = 0.1
    if cert is not None:
        config.certfile, config.keyfile = str(cert.cert), str(cert.key)
    stop, started = trio.Event(), threading.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def run() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        started.set()
        await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")  # type: ignore[arg-type]

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    started.wait()
    try:
        yield
    finally:
        trio.from_thread.run_sync(stop.set, trio_token=tokens[0])
        thread.join()
