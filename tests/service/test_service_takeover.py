"""Take-over by call: the newest call of each kind has the device."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import permutations

import pytest
import structlog
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from panel import status_of
from service_home import CALLS, frame, open_home
from trio.testing import MockClock

from audio_server.device.attachment import Superseded
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


async def test_a_call_on_an_older_connection_takes_over_too(autojump_clock: MockClock) -> None:
    """Behind a proxy the connection of a device's next call may be any."""
    async with open_home() as home, home.connect() as old, trio.open_nursery() as nursery:
        async with home.device() as new, home.device("other", calls=[]) as again:
            await new.press(Button.MODE)
            for name in CALLS:
                await again.attend(name, old, "one", nursery)
            await trio.sleep(2.0)
            assert new.ended == ATTENDED_ABORTED
            assert again.ended == {}
            assert again.shown == frame(1)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("order", list(permutations(CALLS)), ids="-".join)
async def test_calls_may_come_on_a_connection_each(
    order: tuple[str, ...], autojump_clock: MockClock
) -> None:
    """In any order; and one that is opened again on a fourth leaves the others alone."""
    async with open_home() as home, AsyncExitStack() as stack:
        nursery = await stack.enter_async_context(trio.open_nursery())
        panel = await stack.enter_async_context(home.device("other", calls=[]))
        for name in [*order, "StatusStream"]:
            stub = await stack.enter_async_context(home.connect())
            await panel.attend(name, stub, "one", nursery)
            await trio.testing.wait_all_tasks_blocked()
        await panel.press(Button.MODE, Button.PLAY)
        await trio.sleep(0.1)
        assert panel.ended == {"StatusStream": Status.ABORTED}
        assert panel.heard
        assert "cut." not in panel.heard
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("connections", "why"), [(1, Superseded.REOPENED), (2, Superseded.MOVED)])
async def test_aborted_says_why_and_is_logged(
    connections: int, why: str, autojump_clock: MockClock
) -> None:
    metadata = {"device_id": "one"}
    async with (
        open_home() as home,
        home.connect() as first,
        home.connect() as second,
        first.StatusStream.open(metadata=metadata) as old,
    ):
        await trio.testing.wait_all_tasks_blocked()
        stub = first if connections == 1 else second
        with structlog.testing.capture_logs() as logs:
            async with stub.StatusStream.open(metadata=metadata):
                with pytest.raises(GRPCError, match=why) as error:
                    await old.recv_trailing_metadata()
    assert error.value.status is Status.ABORTED
    (line,) = [line for line in logs if line["event"] == "call ended"]
    assert (line["device"], line["call"], line["reason"]) == ("one", "status", why)
    assert "peer" in line


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
        assert home.devices.by_id["one"].display.status.greeting


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
