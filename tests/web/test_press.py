"""A press of a button over HTTP: whose, and who may."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from shelves import shelf_of
from starlette.types import ASGIApp, Message

from audio_server.clips.clip import Clip
from audio_server.device.devices import Devices
from audio_server.device.rules import Rules
from audio_server.fleet.local import LocalFleet
from audio_server.settings import Settings
from audio_server.web.app import make_app
from audio_server.web.gate import Entry
from audio_server.web.house import House

HOST = "127.0.0.1:8080"
CLIPS = [Clip.from_packets(str(mode), [b"\xf8\xff\xfe"]) for mode in range(5)]
MODE = b'{"button": "mode"}'


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[ASGIApp, Devices]]:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        yield make_app(house_of(devices), Entry(loopback=True)), devices
        nursery.cancel_scope.cancel()


def house_of(devices: Devices) -> House:
    return House(Settings(), 1, shelf_of(CLIPS), LocalFleet(devices), trio.Event(), str)


async def press(
    app: ASGIApp, device_id: str = "a", body: bytes = MODE, origin: str = f"http://{HOST}"
) -> tuple[int, str]:
    """Ask for a press; gives the status and what is said."""
    sent: list[Message] = []
    headers = [(b"host", HOST.encode()), (b"origin", origin.encode())]
    path = f"/api/devices/{device_id}/press"
    scope: Any = {"type": "http", "method": "POST", "path": path, "headers": headers}

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "query_string": b"", "http_version": "1.1"}, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


async def test_a_press_is_as_the_devices_own() -> None:
    async with serving() as (app, devices):
        with devices.attach_events("a", 1), devices.attach_events("b", 2):
            status, said = await press(app)
            assert (status, json.loads(said)) == (200, {"result": "done"})
            assert devices.by_id["a"].state.mode == 1
            assert devices.by_id["b"].state.mode == 0
            assert await press(app, "c") == (404, "no such device is connected\n")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"button": "bell"}', b'{"button": 1}', b"\xff", b"x" * 10_000]
)
async def test_what_is_no_button_changes_nothing(body: bytes) -> None:
    async with serving() as (app, devices):
        with devices.attach_events("a", 1):
            assert (await press(app, body=body))[0] == 400
            assert devices.by_id["a"].state.mode == 0


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
async def test_other_pages_press_nothing(origin: str) -> None:
    async with serving() as (app, devices):
        with devices.attach_events("a", 1):
            assert (await press(app, origin=origin))[0] == 403
            assert devices.by_id["a"].state.mode == 0
