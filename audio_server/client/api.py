"""The requests of a server's API that this package uses."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias
from urllib.parse import quote

from audio_server.client import shapes
from audio_server.client.connection import Connection, Document, Events, open_connection
from audio_server.client.server import Server

ALL = "all"

Which: TypeAlias = Sequence[str] | Mapping[str, str] | None
"""Devices by their ids, all with a tag (`{"tag": NAME}`), or all (None)."""


@asynccontextmanager
async def open_api(server: Server) -> AsyncIterator[Api]:
    """Return a client of `server`; sends nothing yet. Raises `SetupError` for a wrong `cafile`."""
    async with open_connection(server) as connection:
        yield Api(connection)


class Api:
    """Each call raises `ServerError`. `None` for devices is all that are connected.

    A row is the state of a device, an event one of its events; docs/operating.md and the server's
    /api/openapi.json document their keys.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def devices(self, **query: str | None) -> Document:
        """`rows` of the devices that are connected, and `now` by the server's clock; with a `query`
        those that `state`, `tag`, `errors`, `leds`, `firmware` and `q` name. `missing` are nodes of
        a cluster whose devices are not there."""
        given = {key: value for key, value in query.items() if value is not None}
        pages: list[Document] = []
        while True:  # a cluster gives some at a time
            page = await self._connection.ask(
                "GET", "/api/devices", query=given, shape=shapes.Devices
            )
            pages.append(page)
            if page.get("next") in (None, given.get("cursor")):
                break
            given["cursor"] = page["next"]
        rows = {row["id"]: row for page in pages for row in page["rows"]}
        missing = sorted({name for page in pages for name in page.get("missing", ())})
        whole = {**pages[-1], "rows": list(rows.values())}
        return {**whole, "missing": missing} if missing else whole

    async def device(self, device_id: str) -> Document:
        """The row of one device, which may be away."""
        return await self._connection.ask(
            "GET", _path(device_id), about=device_id, shape=shapes.Device
        )

    def changes(self) -> AbstractAsyncContextManager[Events]:
        """`rows` of `all` devices, and then of those that have changed, and which are `gone`."""
        return self._connection.open_events("/api/devices/changes", shapes.Changes)

    async def press(self, device_id: str, button: str) -> Document:
        """Press a button as the device itself would; its row afterwards."""
        path, body = f"{_path(device_id)}/press", {"button": button}
        return await self._connection.ask(
            "POST", path, body=body, about=device_id, shape=shapes.Device
        )

    async def press_all(self, which: Which, button: str) -> Document:
        """Press a button of several devices; answered as `play` is."""
        body = {"devices": _devices(which), "button": button}
        return await self._connection.ask("POST", "/api/press", body=body, shape=shapes.Outcomes)

    async def tag(
        self, which: Which, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Document:
        """Give devices tags, and take others away; answered as `play` is."""
        body = {"devices": _devices(which), "add": list(add), "remove": list(remove)}
        return await self._connection.ask("POST", "/api/tags", body=body, shape=shapes.Outcomes)

    async def forget(self, device_id: str) -> Document:
        """Forget a device that is away."""
        return await self._connection.ask(
            "DELETE", _path(device_id), about=device_id, shape=shapes.Forgotten
        )

    async def play(self, which: Which, **source: str) -> Document:
        """Play a `clip` or a `live` channel now: how many it is `done` to, which are `gone`, which
        have `failed`."""
        body = {"devices": _devices(which), **source}
        return await self._connection.ask("POST", "/api/play", body=body, shape=shapes.Outcomes)

    async def stop(self, which: Which) -> Document:
        """Stop playback; answered as `play` is."""
        body = {"devices": _devices(which)}
        return await self._connection.ask("POST", "/api/stop", body=body, shape=shapes.Outcomes)

    async def announce(self, which: Which, *, chime: bool, priority: int, **sound: str) -> Document:
        """Make an announcement of a `clip`, of text to `say` or of a `sound` that was sent;
        answered as `play` is, with its `id`."""
        body = {"devices": _devices(which), "chime": chime, "priority": priority, **sound}
        return await self._connection.ask(
            "POST", "/api/announce", body=body, shape=shapes.Announced
        )

    async def send_sound(self, name: str, parts: AsyncIterable[bytes]) -> str:
        """Send a sound file for announcements; return its id."""
        answer = await self._connection.send_file(
            "/api/sounds", parts, query={"name": name}, shape=shapes.Sound
        )
        return str(answer["sound"])

    async def channels(self) -> Document:
        """Return the live channels."""
        return await self._connection.ask("GET", "/api/live", shape=shapes.Channels)

    async def send_live(self, channel: str, parts: AsyncIterable[bytes]) -> float:
        """Send sound (Opus in Ogg) to a live channel; return its length in seconds at its end."""
        path = f"/api/live/{quote(channel, safe='')}"
        answer = await self._connection.send_file(path, parts, method="PUT", shape=shapes.Sent)
        return float(answer["seconds"])

    async def recordings(self) -> Document:
        """Return the recordings of live channels, the newest first."""
        return await self._connection.ask("GET", "/api/recordings", shape=shapes.Recordings)

    def open_recording(self, name: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give the sound of a recording for the block."""
        return self._connection.open_file(f"{_recording(name)}/sound")

    async def delete_recording(self, name: str) -> Document:
        """Delete a recording."""
        return await self._connection.ask("DELETE", _recording(name), about=name)

    async def make_clip(self, name: str, title: str | None = None) -> Document:
        """Make a recording a clip; return all clips, of which it is the last."""
        path, body = f"{_recording(name)}/clip", {"title": title}
        return await self._connection.ask("POST", path, body=body, about=name, shape=shapes.Clips)

    async def clips(self, group: str) -> Document:
        """Return the clips of a group."""
        query = {"group": group}
        return await self._connection.ask(
            "GET", "/api/clips", query=query, shape=shapes.ListedClips
        )

    async def add_clip(self, group: str, name: str, parts: AsyncIterable[bytes]) -> Document:
        """Send a sound file, which becomes the last clip of a group; return its clips."""
        query = {"group": group, "name": name}
        return await self._connection.send_file(
            "/api/clips", parts, query=query, shape=shapes.Clips
        )

    async def replace_clip(self, group: str, name: str, parts: AsyncIterable[bytes]) -> Document:
        """Send another sound file for a clip of a group; return its clips."""
        query = {"group": group}
        return await self._connection.send_file(
            _clip(name), parts, method="PUT", query=query, shape=shapes.Clips
        )

    async def rename_clip(self, group: str, name: str, title: str) -> Document:
        """Give a clip of a group another title; return its clips."""
        return await self._change_clips("PATCH", group, _clip(name), {"title": title})

    async def remove_clip(self, group: str, name: str) -> Document:
        """Remove a clip of a group; return the others."""
        return await self._change_clips("DELETE", group, _clip(name), None)

    async def order_clips(self, group: str, names: Sequence[str]) -> Document:
        """Put the clips of a group in another order; return them."""
        return await self._change_clips("PUT", group, "/api/clips/order", {"names": list(names)})

    async def _change_clips(self, method: str, group: str, path: str, body: object) -> Document:
        query = {"group": group}
        return await self._connection.ask(method, path, query=query, body=body, shape=shapes.Clips)

    async def groups(self) -> Document:
        """Return all groups: those with settings, and the tags of devices."""
        query = {"all": "true"}
        return await self._connection.ask("GET", "/api/groups", query=query, shape=shapes.Groups)

    async def group(self, name: str) -> Document:
        """Return a group with its settings."""
        return await self._connection.ask("GET", _group(name), about=name, shape=shapes.Group)

    async def change_group(self, name: str, settings: Mapping[str, object]) -> Document:
        """Change settings of a group; None takes one away. Returns the group."""
        body = dict(settings)
        return await self._connection.ask(
            "PATCH", _group(name), body=body, about=name, shape=shapes.Group
        )

    async def delete_group(self, name: str) -> Document:
        """Take all settings of a group away. Returns the group."""
        return await self._connection.ask("DELETE", _group(name), about=name, shape=shapes.Group)

    async def announcement(self, announcement_id: str, wait_s: float = 0.0) -> Document:
        """Return how far an announcement is on each device, once it is `over` or after a while."""
        path = f"/api/announcements/{quote(announcement_id, safe='')}"
        return await self._connection.ask(
            "GET", path, query={"wait_s": wait_s}, shape=shapes.Announcement
        )

    def judge(
        self, device_id: str, press_s: float, return_s: float, *, cut: bool
    ) -> AbstractAsyncContextManager[Events]:
        """Judge a device: a `step` at a time, then the `findings`, or why it `failed`. The end of
        the block ends the trial."""
        body = {"press_s": press_s, "return_s": return_s, "cut": cut}
        path = f"{_path(device_id)}/judge"
        return self._connection.open_events(
            path, shapes.Judged, method="POST", body=body, about=device_id
        )

    async def rename(self, device_id: str, name: str | None) -> Document:
        """Give a device a name, or take it away."""
        path, body = _path(device_id), {"name": name}
        return await self._connection.ask("PATCH", path, body=body, about=device_id)

    async def events(self, device_id: str | None = None) -> Document:
        """Return the events that the server has kept, oldest first."""
        if device_id is None:
            return await self._connection.ask("GET", "/api/events", shape=shapes.Events)
        path = f"{_path(device_id)}/events"
        return await self._connection.ask("GET", path, about=device_id, shape=shapes.Events)

    def following(self, device_id: str | None = None) -> AbstractAsyncContextManager[Events]:
        """Give the events from now on."""
        query = {"follow": "true"} | ({"device": device_id} if device_id else {})
        return self._connection.open_events("/api/events", shapes.Event, query=query)


def _recording(name: str) -> str:
    return f"/api/recordings/{quote(name, safe='').replace('..', '%2E%2E')}"


def _clip(name: str) -> str:
    return f"/api/clips/{quote(name, safe='').replace('..', '%2E%2E')}"


def _group(name: str) -> str:
    """A tag may be two dots, too."""
    return f"/api/groups/{quote(name, safe='').replace('.', '%2E')}"


def _path(device_id: str) -> str:
    """An id may be two dots, which as they are would be the folder above."""
    return f"/api/devices/{quote(device_id, safe='').replace('.', '%2E')}"


def _devices(which: Which) -> Sequence[str] | Mapping[str, str]:
    return ALL if which is None else which
