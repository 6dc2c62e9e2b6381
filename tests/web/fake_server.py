"""The pages on devices and clips that are made up, so that a test says what there is to see."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import trio
from fake_facts import CLIPS, Json, at_this_moment, clip
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from audio_server.web.api.live import tell
from audio_server.web.app import PAGES
from audio_server.web.files import Files
from audio_server.web.security_headers import SecurityHeaders

JUDGE = "audio-server judge --host 127.0.0.1 --port 50051"


class FakeServer:
    """Answers as the server does, from what a test has put into it, and notes what it is asked.

    Attributes may be read and set by the test's thread; `tell` sends what changed to the pages.
    """

    def __init__(self) -> None:
        self.url = ""
        self.reset()
        self._listeners: dict[trio.MemorySendChannel[bytes], str] = {}
        self._files = Files()

    # -- for tests

    def reset(self) -> None:
        """As at the start: no devices, five clips, and nobody needs a token."""
        self.devices: dict[str, Json] = {}
        self.away: dict[str, Json] = {}
        self.cluster: Json = {}  # what is told of all devices, of which these are a window
        self.followed: list[str] = []  # the queries of those that follow devices
        self.clips = [clip(mode, name) for mode, name in enumerate(CLIPS)]
        self.channels: list[Json] = []
        self.recordings: list[Json] = []
        self.events: list[Json] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.refusals: dict[str, tuple[int, str]] = {}  # path → what it is answered
        self.failing: dict[str, tuple[int, str]] = {}  # the same for queries
        self.needs_login = False
        self.announcement: Json = {"id": "a1", "sound": "bell", "over": True, "devices": {}}
        self.fixed_because: str | None = None
        self.judged: list[tuple[str, Json]] = []  # what is told of a trial
        self.judging = trio.Event()  # the trial goes on until it is set
        self.groups: list[Json] = []
        self.group_clips: dict[str, list[Json]] = {}  # by group or device; others have `clips`

    @contextmanager
    def run(self) -> Iterator[FakeServer]:
        """Serve for as long as the block, in a thread of its own."""
        ready, stop = threading.Event(), trio.Event()
        tokens: list[trio.lowlevel.TrioToken] = []

        async def main() -> None:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            config = Config()
            config.bind = [f"fd://{listener.socket.detach()}"]
            config.graceful_timeout = 0.1
            tokens.append(trio.lowlevel.current_trio_token())
            ready.set()
            app: Any = self.app()
            await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")

        thread = threading.Thread(target=trio.run, args=(main,), daemon=True)
        thread.start()
        ready.wait(10)
        self._token = tokens[0]
        try:
            yield self
        finally:
            self._from_test(self._end_streams)
            self._from_test(stop.set)
            thread.join(10)

    def put(self, *devices: Json) -> None:
        """Connect devices, or change them, and tell the pages."""
        self.devices |= {one["id"]: one for one in devices}
        self._from_test(self._send, "devices", "changes", self._rows(devices))

    def drop(self, *ids: str) -> None:
        """Devices go away."""
        for device_id in ids:
            del self.devices[device_id]
        self._from_test(self._send, "devices", "changes", self._rows((), ids))

    def put_away(self, *devices: Json) -> None:
        """Devices that are away: they are told of to a page that asks."""
        self.away |= {one["id"]: one for one in devices}

    def happen(self, device_id: str, kind: str, text: str, **details: Any) -> None:
        """Something happens to a device."""
        seq = len(self.events) + 1
        event = {"seq": seq, "at": time.time(), "device": device_id, "kind": kind, "text": text}
        self.events.append(event | details)
        self._from_test(self._send, device_id, "event", self.events[-1])

    def wait_asked(self, method: str, path: str) -> Any:
        """The body of the newest such request, once there is one."""
        for _ in range(500):
            for one, where, body in reversed(self.asked):
                if (one, where) == (method, path):
                    return body
            time.sleep(0.01)
        raise AssertionError(f"{method} {path} was not asked, but {self.asked}")

    def end_trial(self) -> None:
        """Let the trial that waits go on to its end."""
        self._from_test(self.judging.set)

    # -- streams

    def _from_test(self, act: Callable[..., None], *args: Any) -> None:
        if self.url:
            trio.from_thread.run_sync(act, *args, trio_token=self._token)

    def _rows(self, rows: Any, gone: Any = ()) -> Json:
        return {"now": time.time(), "rows": list(rows), "gone": list(gone), **self.cluster}

    def _send(self, topic: str, name: str, data: Json) -> None:
        for listener, wanted in list(self._listeners.items()):
            if wanted == topic:
                listener.send_nowait(_event(name, data))

    def _end_streams(self) -> None:
        for listener in list(self._listeners):
            listener.close()
        self._listeners.clear()

    def end_streams(self) -> None:
        """Let go of all pages; they come back."""
        self._from_test(self._end_streams)

    async def _tell(self, websocket: WebSocket, topic: str, *first: bytes) -> None:
        if self.needs_login and websocket.cookies.get("token") != "right":
            await websocket.close()
            return
        await websocket.accept()
        await tell(websocket, self._listening(topic, first), bytes)

    @contextmanager
    def _listening(
        self, topic: str, first: tuple[bytes, ...]
    ) -> Iterator[trio.MemoryReceiveChannel[bytes]]:
        send, receive = trio.open_memory_channel[bytes](math.inf)
        for event in first:
            send.send_nowait(event)
        self._listeners[send] = topic
        try:
            yield receive
        finally:
            self._listeners.pop(send, None)

    # -- the API

    def app(self) -> SecurityHeaders:
        """The application."""
        api = [self._api(method, path, answer) for method, path, answer in self._answers()]
        pages: list[BaseRoute] = [Route(path, self._page(name)) for path, name in PAGES.items()]
        others: list[BaseRoute] = [
            WebSocketRoute("/api/devices/changes", self._changes),
            WebSocketRoute("/api/events", self._follow),
            Route("/login", self._login_page),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/static/{name}", self._files.static),
        ]
        return SecurityHeaders(Starlette(routes=[*others, *pages, *api]))

    def _answers(self) -> list[tuple[str, str, Callable[[Request, Any], Any]]]:
        """Method, path and what is answered: JSON, or a response."""
        return [
            (
                "GET",
                "/api/about",
                lambda *_: {"version": "1", "login": self.needs_login, "judge": JUDGE},
            ),
            ("GET", "/api/devices", self._absent),
            ("GET", "/api/devices/{id}", self._device),
            ("DELETE", "/api/devices/{id}", self._forgotten),
            ("POST", "/api/tags", self._tagged),
            ("PATCH", "/api/devices/{id}", self._renamed),
            ("GET", "/api/devices/{id}/events", self._past),
            ("POST", "/api/devices/{id}/press", self._done),
            ("POST", "/api/devices/{id}/judge", self._judged),
            ("POST", "/api/play", self._done),
            ("POST", "/api/announce", self._announced),
            ("GET", "/api/announcements/{id}", lambda *_: self.announcement),
            ("POST", "/api/stop", self._done),
            ("GET", "/api/live", lambda *_: {"channels": self.channels}),
            ("GET", "/api/recordings", lambda *_: {"recordings": self.recordings}),
            ("DELETE", "/api/recordings/{name}", self._unrecorded),
            ("POST", "/api/recordings/{name}/clip", self._made_a_clip),
            ("GET", "/api/groups", lambda *_: {"groups": self.groups}),
            ("GET", "/api/clips", self._listed),
            ("POST", "/api/clips", self._added),
            ("POST", "/api/clips/reload", self._listed),
            ("PUT", "/api/clips/order", self._ordered),
            ("PUT", "/api/clips/{name}", self._listed),
            ("DELETE", "/api/clips/{name}", self._removed),
            ("PATCH", "/api/clips/{name}", self._retitled),
            ("GET", "/api/clips/{name}/waveform", self._waveform),
        ]

    def _api(self, method: str, path: str, answer: Callable[[Request, Any], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            if self.needs_login and request.cookies.get("token") != "right":
                return JSONResponse({"error": "log in first"}, 401)
            body = await request.body()
            said = _json(body)
            if method != "GET":
                self.asked.append((method, request.url.path, said))
            if method != "GET" and (refusal := self.refusals.get(request.url.path)):
                return JSONResponse({"error": refusal[1]}, refusal[0])
            if method == "GET" and (failure := self.failing.get(request.url.path)):
                return JSONResponse({"error": failure[1]}, failure[0])
            answered = answer(request, said)
            return answered if isinstance(answered, Response) else JSONResponse(answered)

        return Route(path, endpoint, methods=[method])

    def _page(self, name: str) -> Callable[[Request], Any]:
        async def page(request: Request) -> Response:
            if self.needs_login and request.cookies.get("token") != "right":
                query = request.url.query
                wanted = f"{request.url.path}?{query}" if query else request.url.path
                return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303)
            return self._files.answer(request, name)

        return page

    def _judged(self, request: Request, _: Any) -> Response:
        async def told() -> AsyncIterator[bytes]:
            *steps, last = [_event(name, data) for name, data in self.judged]
            for text in steps:
                yield text
            await self.judging.wait()
            yield last

        return StreamingResponse(told(), media_type="text/event-stream")

    async def _login_page(self, request: Request) -> Response:
        return self._files.answer(request, "login.html")

    async def _login(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        if form["token"] != "right":
            return RedirectResponse(f"/login?{urlencode({'next': form['next'], 'wrong': 1})}", 303)
        answer = RedirectResponse(form["next"], 303)
        answer.set_cookie("token", "right", httponly=True)
        return answer

    async def _logout(self, request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie("token")
        return answer

    async def _changes(self, websocket: WebSocket) -> None:
        self.followed.append(websocket.url.query)
        await self._tell(websocket, "devices", _event("all", self._rows(self.devices.values())))

    async def _follow(self, websocket: WebSocket) -> None:
        await self._tell(websocket, websocket.query_params["device"])

    def _device(self, request: Request, said: Any) -> Any:
        device_id = request.path_params["id"]
        row = self.devices.get(device_id) or self.away.get(device_id)
        if row is None:
            return JSONResponse({"error": "no such device is connected"}, 404)
        return row | {"playing": row["playing"] and at_this_moment(row["playing"])}

    def _absent(self, request: Request, said: Any) -> Json:
        query = request.query_params
        assert query["state"] == "offline"
        left = sorted(one for one in self.away if one > query["cursor"])
        ids = left[: int(query["limit"])]
        following = ids[-1] if len(ids) < len(left) else None
        rows = [self.away[one] for one in ids]
        return {"rows": rows, "now": time.time(), "found": len(self.away), "next": following}

    def _forgotten(self, request: Request, said: Any) -> Json:
        device_id = request.path_params["id"]
        del self.away[device_id]
        self._send("devices", "changes", self._rows(()) | {"forgotten": [device_id]})
        return {"id": device_id}

    def _tagged(self, request: Request, said: Any) -> Json:
        for device_id in said["devices"]:
            known = self.devices if device_id in self.devices else self.away
            tags = {*known[device_id]["tags"], *said["add"]}.difference(said["remove"])
            known[device_id] = row = known[device_id] | {"tags": sorted(tags)}
            change = self._rows([row]) if row["connected"] else self._rows(()) | {"away": [row]}
            self._send("devices", "changes", change)
        return {"done": len(said["devices"]), "gone": [], "failed": {}}

    def _renamed(self, request: Request, said: Any) -> Any:
        row = self.devices[request.path_params["id"]] | {"name": said["name"]}
        self.devices[row["id"]] = row
        self._send("devices", "changes", self._rows([row]))
        return row

    def _past(self, request: Request, said: Any) -> Json:
        own = [one for one in self.events if one["device"] == request.path_params["id"]]
        return {"now": time.time(), "events": own}

    def _done(self, request: Request, said: Any) -> Json:
        devices = said.get("devices", [0])
        return {
            "done": len(self.devices if devices == "all" else devices),
            "gone": [],
            "failed": {},
        }

    def _announced(self, request: Request, said: Any) -> Json:
        return {**self._done(request, said), "id": "a1", "seconds": 0.1}

    def _listed(self, request: Request, said: Any) -> Json:
        query = request.query_params
        whose = query.get("group") or query.get("device") or ""
        own = self.group_clips.get(whose)
        facts = {
            "fixed_because": self.fixed_because,
            "own": "group" not in query or own is not None,
        }
        return {"clips": self.clips if own is None else own, **facts}

    def _unrecorded(self, request: Request, said: Any) -> Json:
        name = request.path_params["name"]
        self.recordings = [one for one in self.recordings if one["name"] != name]
        return {"name": name}

    def _made_a_clip(self, request: Request, said: Any) -> Json:
        self.clips.append(clip(len(self.clips), said["title"]))
        return {"clips": self.clips}

    def _added(self, request: Request, said: Any) -> Json:
        name = request.query_params["name"].rsplit(".", 1)[0]
        if group := request.query_params.get("group"):
            own = self.group_clips.setdefault(group, list(self.clips))
            own.append(clip(len(own), name))
            return self._listed(request, said)
        self.clips.append(clip(len(self.clips), name))
        return {"clips": self.clips}

    def _ordered(self, request: Request, said: Any) -> Json:
        known = {one["name"]: one for one in self.clips}
        self._number([known[name] for name in said["names"]])
        return {"clips": self.clips}

    def _retitled(self, request: Request, said: Any) -> Json:
        old = request.path_params["name"]
        self._number(
            [one | {"title": said["title"]} if one["name"] == old else one for one in self.clips]
        )
        return {"clips": self.clips}

    def _removed(self, request: Request, said: Any) -> Json:
        self._number([one for one in self.clips if one["name"] != request.path_params["name"]])
        return {"clips": self.clips}

    def _number(self, clips: list[Json]) -> None:
        """Put clips in order, which gives their files other names."""
        self.clips = [
            one | {"mode": mode, "name": f"{mode:02}-{one['title']}"}
            for mode, one in enumerate(clips)
        ]

    def _waveform(self, request: Request, said: Any) -> Json:
        seed = sum(map(ord, request.path_params["name"]))
        points = int(request.query_params["points"])
        return {"peaks": [_peak(seed, at / points) for at in range(points)]}


def _peak(seed: int, at: float) -> float:
    swing = abs(math.sin(seed * at) * math.sin(40 * at + seed) + 0.4 * math.sin(150 * at))
    return min(1.0, swing * math.sin(math.pi * at) ** 0.5)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


def _event(name: str, data: Json) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
