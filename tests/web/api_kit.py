"""A server's HTTP API without a server: devices of this process, and answers that are held
against what the API says of itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from asgi import Answer, ask
from jsonschema import Draft202012Validator
from outlet import Outlet
from repositories import shelf_of
from starlette.routing import compile_path
from starlette.types import ASGIApp

from audio_server.assembly import LocalTakers, open_groups
from audio_server.clips.clip import Clip
from audio_server.clips.repository import Repository, at_once
from audio_server.device.attachment import EventAttachment
from audio_server.device.behaviour import Rules
from audio_server.device.live_channel import LiveChannel
from audio_server.device.registry import Devices
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.own_rows import own_fleet
from audio_server.live.recordings import Recordings
from audio_server.settings import Settings
from audio_server.web.access import Admitted
from audio_server.web.api.about import all_operations
from audio_server.web.api.openapi import openapi
from audio_server.web.app import make_app
from audio_server.web.context import Context

REFUSED = (401, 403, 421, 429, 500)
"""What is not said of each operation: it can be said of any request."""

PACKET = b"\xf8\xff\xfe"
CLIPS = [Clip.from_packets(name, [PACKET] * 100) for name in ("bell", "rain", "song")]


@dataclass
class Api:
    """`document` says what may be answered."""

    app: ASGIApp
    devices: Devices
    context: Context
    document: dict[str, Any]
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    async def ask(self, method: str, target: str, body: Any = b"", **headers: str) -> Answer:
        """Ask, and hold the answer against the document."""
        answer = await ask(self.app, method, target, body, **headers)
        path = self._path(target.partition("?")[0])
        operation = self.document["paths"].get(path, {}).get(method.lower())
        if operation is not None:
            self.seen.add((method, path, answer.status))
            self._check(operation, answer)
        else:
            assert answer.status in (404, 405)
            assert list(answer.json) == ["error"]
        return answer

    @contextmanager
    def connected(self, device_id: str = "a", number: int = 1) -> Iterator[EventAttachment]:
        """A device with all its streams; gives the one for its presses."""
        with ExitStack() as stack:
            to, peer = self.devices, "10.0.0.7:51234"
            stack.enter_context(to.attach_status(device_id, number, None, peer))
            stack.enter_context(to.attach_audio(device_id, number, Outlet(), None, peer))
            yield stack.enter_context(to.attach_events(device_id, number, None, peer))

    async def get(self, target: str) -> Any:
        """What is answered well."""
        answer = await self.ask("GET", target)
        assert answer.status == 200, answer.text
        return answer.json

    def _path(self, target: str) -> str | None:
        found = [path for path in self.document["paths"] if compile_path(path)[0].match(target)]
        return min(found, key=lambda path: "{" in path, default=None)

    def _check(self, operation: Any, answer: Answer) -> None:
        responses = operation["responses"]
        assert str(answer.status) in responses or answer.status in REFUSED, answer.text
        content = responses.get(str(answer.status), responses["default"]).get("content")
        if content is None:
            assert answer.body == b""
            return
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = {**content[media_type]["schema"], "components": self.document["components"]}
        if media_type == "application/json":
            Draft202012Validator(schema).validate(answer.json)


@asynccontextmanager
async def an_api(
    repository: Repository | None = None,
    settings: Settings | None = None,
    channels: Sequence[LiveChannel] = (),
    config: Path | None = None,
    recordings: Recordings | None = None,
) -> AsyncIterator[Api]:
    """An API of devices that can be connected with `devices`. The settings file `config` may have
    groups."""
    repository = repository or shelf_of(CLIPS)
    sources = [*repository.clips, *channels]
    devices = Devices(sources, Rules(len(sources)), 0.3)
    repository.used_by(at_once(lambda clips: devices.change_clips([*clips, *channels])))
    fleet = own_fleet(DevicesHere(devices))
    settings = settings or Settings(data=None)
    groups = await open_groups(settings, repository, fleet, config)
    groups.used_by(LocalTakers(devices, groups, channels))
    stop = trio.Event()
    live = channels, recordings
    context = Context(settings, 1, repository, fleet, stop, str, *live, groups=groups)
    document = openapi(all_operations(context, login=False), "1")
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        nursery.start_soon(fleet.run)
        app = make_app(context, Admitted(loopback=True))
        async with fleet.at_work():
            yield Api(app, devices, context, document)
        nursery.cancel_scope.cancel()
