"""Judging a device by the API: told as it goes on, and ended with the connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, scope_of
from stub_server import StubServer
from trio.testing import MockClock

from audio_server.judge import bench
from audio_server.service.device_service import DeviceService
from audio_server.simulator.device import VirtualDevice

QUICK = {"press_s": 0, "return_s": 5}


@pytest.fixture(autouse=True)
def short_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sound() -> Sequence[bytes]:
        return [b"\xf8" + bytes(600)] * 50

    monkeypatch.setattr(bench, "_hiss", sound)


async def comes(api: Api, nursery: trio.Nursery) -> VirtualDevice:
    server = StubServer(DeviceService(api.devices), nursery)
    device = VirtualDevice("den", server.open)
    nursery.start_soon(device.run)
    device.switch_on()
    await trio.sleep(3.0)
    return device


def events_in(text: str) -> list[tuple[str, Any]]:
    told = [one.split("\n") for one in text.split("\n\n") if one and not one.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data[6:])) for name, data in told]


async def test_steps_and_then_findings(autojump_clock: MockClock) -> None:
    async with an_api() as api, trio.open_nursery() as nursery:
        await comes(api, nursery)
        answer = await api.ask("POST", "/api/devices/den/judge", QUICK)
        assert (answer.status, answer.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        *steps, (last, findings) = events_in(answer.text)
        assert [told["text"].partition(":")[0] for name, told in steps if name == "step"] == [
            "LEDs",
            "sound",
            "ends of calls and of the connection",
        ]
        assert (last, findings["device"], findings["left"]) == ("findings", "den", None)
        assert {one["verdict"] for one in findings["duties"]} == {"kept", "not seen"}
        (told,) = [one for one in findings["duties"] if one["duty"] == "sound"]
        assert told == {
            "duty": "sound",
            "text": "a device takes sound as fast as it comes, and opens its window for more",
            "verdict": "kept",
            "seen": [],
        }
        nursery.cancel_scope.cancel()


async def test_a_client_that_goes_ends_the_trial(autojump_clock: MockClock) -> None:
    async with an_api() as api, trio.open_nursery() as nursery:
        await comes(api, nursery)
        device, gone = api.devices.by_id["den"], trio.Event()
        target, body = "/api/devices/den/judge", [json.dumps(QUICK).encode()]

        async def receive() -> Any:
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            await trio.lowlevel.checkpoint()

        json_type = {"host": HOST, "content-type": "application/json"}
        nursery.start_soon(api.app, scope_of("POST", target, json_type, "10.0.0.9"), receive, send)
        await trio.sleep(1.5)
        assert device.loan is not None
        again = await api.ask("POST", target, QUICK)
        assert (again.status, again.json["error"]) == (409, "it is being judged")
        gone.set()
        await trio.sleep(1.0)
        assert (device.loan, len(device.attachments)) == (None, 3)
        nursery.cancel_scope.cancel()


async def test_a_device_that_plays_is_refused_or_cut(autojump_clock: MockClock) -> None:
    async with an_api() as api, trio.open_nursery() as nursery:
        await comes(api, nursery)
        await api.ask("POST", "/api/play", {"clip": "bell", "devices": ["den"]})
        refused = await api.ask("POST", "/api/devices/den/judge", QUICK)
        assert refused.status == 409
        assert refused.json["error"] == "it plays; stop it first, or allow its take to be cut"
        answer = await api.ask("POST", "/api/devices/den/judge", {"cut": True, **QUICK})
        assert events_in(answer.text)[-1][0] == "findings"
        nursery.cancel_scope.cancel()


async def test_a_trial_that_fails_on_its_way_says_so(autojump_clock: MockClock) -> None:
    async with an_api() as api, trio.open_nursery() as nursery:
        await comes(api, nursery)

        async def end() -> None:
            await trio.sleep(1.5)
            await api.devices.end_takes()

        nursery.start_soon(end)
        answer = await api.ask("POST", "/api/devices/den/judge", QUICK)
        assert events_in(answer.text)[-1] == ("failed", {"reason": "the server is stopping"})
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"press_s": 121}, 422),
        ({"return_s": 0}, 422),
        ({"louder": True}, 422),
        (b"", 415),
        ({}, 404),
    ],
)
async def test_wrong_requests_are_refused(body: Any, status: int) -> None:
    async with an_api() as api:
        assert (await api.ask("POST", "/api/devices/nobody/judge", body)).status == status
