"""One device more than the server takes."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status
from panel import status_of
from service_home import FIVE, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button, Rules
from audio_server.device.registry import Devices


@pytest.fixture
def two_at_most() -> Devices:
    return Devices(FIVE, Rules(len(FIVE)), 0.3, max_devices=2)


async def test_it_is_refused_and_those_there_are_unharmed(
    two_at_most: Devices, autojump_clock: MockClock
) -> None:
    async with open_home(devices=two_at_most) as home:
        async with home.device("one") as one, home.device("two") as two:
            async with (
                home.connect() as stub,
                stub.EventStream.open(metadata={"device_id": "three"}) as call,
            ):
                assert await status_of(call) is Status.RESOURCE_EXHAUSTED
            await one.press(Button.MODE)
            await two.press(Button.MODE)
            assert set(home.devices.by_id) == {"one", "two"}
        await trio.sleep(1)
        async with home.device("three") as three:
            await three.press(Button.MODE)


async def test_one_that_is_there_may_come_again(
    two_at_most: Devices, autojump_clock: MockClock
) -> None:
    async with (
        open_home(devices=two_at_most) as home,
        home.device("one"),
        home.device("two"),
        home.device("two") as again,
    ):
        await again.press(Button.MODE)
