"""The log has one line for each event of a device's life, with the id of the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import structlog
import trio
import trio.testing
from service_home import open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.rpc.connection import CLOSED
from audio_server.rpc.limits import Limits
from audio_server.rpc.server_connection import serve_connection
from benchmarks.frames import opening

ADDRESS = "local"


@pytest.fixture(autouse=True)
def every_level() -> Iterator[None]:
    """A command that another test ran in this process may have set a level."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("debug"))
    yield
    structlog.configure(wrapper_class=before)


def lines(logs: list[Any], level: str = "info") -> list[tuple[Any, ...]]:
    """The lines of a level without their keys."""
    return [
        tuple(value for key, value in line.items() if key != "log_level")
        for line in logs
        if line["log_level"] == level
    ]


async def test_the_life_of_a_device(autojump_clock: MockClock, logs: list[Any]) -> None:
    async with open_home(log_level="debug") as home:
        async with home.device() as device:
            await device.press(Button.MODE, Button.PLAY)
            await trio.sleep(3)
            await device.press(Button.PLAY)
            await trio.sleep(0.2)
            await device.press(Button.STOP)
            await trio.sleep(1)
        await trio.sleep(1)
    assert lines(logs) == [
        ("one", ADDRESS, "device connected"),
        ("one", "1", "take started"),
        ("one", "1", 0.5, "take ended"),
        ("one", "1", "take started"),
        ("one", "1", 0.2, "take cut"),
        ("one", "all of its calls ended", "device disconnected"),
    ]
    assert lines(logs, "debug") == [
        ("one", "mode", "press", "button pressed"),
        ("one", "play", "press", "button pressed"),
        ("one", "play", "press", "button pressed"),
        ("one", "stop", "press", "button pressed"),
    ]
    assert {line["device"] for line in logs} == {"one"}


async def test_presses_are_for_the_level_debug(autojump_clock: MockClock, logs: list[Any]) -> None:
    async with open_home() as home, home.device() as device:
        await device.press(Button.MODE)
    assert lines(logs, "debug") == []


async def test_a_storm_does_not_wait_for_its_log(
    autojump_clock: MockClock, logs: list[Any]
) -> None:
    async with open_home() as home, home.device() as device:
        for _ in range(60):
            await device.press(Button.PLAY, Button.STOP)
            await trio.sleep(0.1)
        await trio.sleep(60)
        await device.press(Button.PLAY)
    told = [line for line in logs if line["event"].startswith("take ")]
    assert len(told) < 30
    assert sum(line.get("not_logged_before", 0) for line in told) + len(told) == 2 * 61


async def test_a_take_over(autojump_clock: MockClock, logs: list[Any]) -> None:
    async with open_home() as home, home.device() as old:
        await old.press(Button.PLAY)
        async with home.device():
            await trio.sleep(1)
    told = [line for line in lines(logs) if line[-1] != "call ended"]
    assert told[:4] == [
        ("one", ADDRESS, "device connected"),
        ("one", "0", "take started"),
        ("one", "0", 0.0, "take lost"),
        ("one", ADDRESS, "device took over from its older connection"),
    ]


async def test_a_device_that_stops_reading(autojump_clock: MockClock, logs: list[Any]) -> None:
    small = Limits(stream_window_bytes=4096)
    async with open_home() as home, home.device(limits=small, reads=False) as device:
        await device.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(60)
    (stalled,) = [line for line in logs if line["event"] == "take stalled"]
    assert stalled["reason"] == "no packet taken for 30 s"


async def hang_up(near: trio.abc.Stream) -> None:
    await near.aclose()


async def break_http2(near: trio.abc.Stream) -> None:
    await near.send_all(b"\0\0\0\x06\0\0\0\0\0")


async def say_nothing(near: trio.abc.Stream) -> None:
    await trio.sleep(120)


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (hang_up, CLOSED),
        (break_http2, "the peer broke HTTP/2: "),
        (say_nothing, "the peer did not answer a PING"),
    ],
)
async def test_the_reason_of_the_end_is_that_of_the_connection(
    autojump_clock: MockClock, logs: list[Any], leave: Callable[[Any], Any], reason: str
) -> None:
    near, far = trio.testing.memory_stream_pair()
    async with open_home() as home, trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_connection, home.services, far, number=1))
        await near.send_all(opening("one", "server"))
        await trio.sleep(1)
        await leave(near)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    (gone,) = [line for line in logs if line["event"] == "device disconnected"]
    assert gone["reason"].startswith(reason)
