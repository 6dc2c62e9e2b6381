"""Who has a device: the newest connection, and on it the newest call of each kind."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status
from panel import status_of
from service_home import CALLS, frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.wire.comms_pb2 import AudioStreamRequest

ATTENDED_ABORTED = dict.fromkeys(("StatusStream", "ServerAudioStream"), Status.ABORTED)
"""A panel only learns of its `EventStream` when it is used."""


async def test_a_newer_connection_takes_over_at_once(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as old:
        await old.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(0.5)
        async with home.device() as new:
            await trio.testing.wait_all_tasks_blocked()
            assert trio.current_time() == 0.5
            assert old.ended == ATTENDED_ABORTED
            assert await status_of(old.calls["EventStream"]) is Status.ABORTED
            assert old.heard[-1] == "cut."
            await trio.sleep(2.0)
            assert new.packets == []
            assert new.shown == frame(3)


async def test_one_call_of_a_newer_connection_is_enough(autojump_clock: MockClock) -> None:
    for name in CALLS:
        async with open_home() as home, home.device() as old:
            await old.press(Button.PLAY)
            await trio.sleep(0.1)
            async with home.device(calls=[name]):
                await trio.sleep(0.1)
                assert old.heard[-1] == "cut."
                assert old.ended == ATTENDED_ABORTED


async def test_an_older_connection_gets_nothing_any_more(autojump_clock: MockClock) -> None:
    """Not even when the newer one has gone."""
    async with open_home() as home, home.connect() as old, trio.open_nursery() as nursery:
        async with home.device() as new:
            await new.press(Button.MODE)
            for name in CALLS:
                await new.attend(name, old, "one", nursery)
            await trio.sleep(2.0)
            assert new.ended.pop("StatusStream") is Status.ABORTED
            assert new.ended.pop("ServerAudioStream") is Status.ABORTED
            assert new.shown == frame(1)
        async with old.StatusStream.open(metadata={"device_id": "one"}) as call:
            assert await status_of(call) is Status.ABORTED
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("seed", range(8))
async def test_of_calls_that_come_together_the_last_lives(
    seed: int, autojump_clock: MockClock
) -> None:
    """They are one read of the server's; its scheduler may begin their tasks in any order."""
    async with open_home() as home, home.connect() as stub:
        opened = [stub.StatusStream.open(metadata={"device_id": "one"}) for _ in range(6)]
        for call in opened:
            await call.__aenter__()
        await trio.testing.wait_all_tasks_blocked()
        assert (await opened[-1].recv_message()).HasField("set")
        for call in opened[:-1]:
            assert await status_of(call) is Status.ABORTED


@pytest.mark.parametrize("seed", range(8))
async def test_a_call_that_is_cancelled_before_it_began_takes_nothing_over(
    seed: int, autojump_clock: MockClock
) -> None:
    async with open_home() as home, home.connect() as stub:
        opened = [stub.StatusStream.open(metadata={"device_id": "one"}) for _ in range(6)]
        for call in opened:
            await call.__aenter__()
        for call in opened[1:]:
            await call.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert (await opened[0].recv_message()).HasField("set")
        assert home.devices.by_id["one"].status.greeting


@pytest.mark.parametrize("seed", range(8))
async def test_of_audio_calls_that_come_together_the_last_is_heard(
    seed: int, autojump_clock: MockClock
) -> None:
    """With their requests: what a handler waits for may come to it in any order as well."""
    async with open_home() as home, home.connect() as stub:
        opened = [stub.ServerAudioStream.open(metadata={"device_id": "one"}) for _ in range(2)]
        for call in opened:
            await call.__aenter__()
            await call.send_message(AudioStreamRequest(start=True))
        with trio.fail_after(1.0):
            assert await status_of(opened[0]) is Status.ABORTED
        async with home.device("other", calls=[]) as panel, trio.open_nursery() as nursery:
            await panel.attend("EventStream", stub, "one", nursery)
            await panel.press(Button.PLAY)
            assert (await opened[1].recv_message()).is_start
            nursery.cancel_scope.cancel()
