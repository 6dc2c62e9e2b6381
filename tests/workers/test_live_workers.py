"""Live channels with workers: encoded once, sent to the workers with listeners, and only there."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import trio
from cluster import SECONDS, Cluster, open_cluster
from test_worker_contract import MODE, PLAY, STOP, Device, device_at
from trio.testing import MockClock

from audio_server.cluster.feeds import WINDOW, Feed
from audio_server.cluster.local import Hub
from audio_server.device.behaviour import State
from audio_server.device.leds import ERROR
from audio_server.device.leds import leds as frame
from audio_server.device.live_channel import LiveChannel
from audio_server.live.feed import LOOK_S, QUIET_LOOKS, offering
from audio_server.wire.audio import SILENCE

PACKET_S = 0.02
RADIO_MODE = len(SECONDS)


class Studio:
    """A channel of the supervisor, its feed, and the workers."""

    def __init__(self, channel: LiveChannel, feed: Feed, cluster: Cluster) -> None:
        self.channel, self.feed, self.cluster = channel, feed, cluster

    async def send(self, seconds: float = math.inf) -> None:
        """Send numbered packets in real time."""
        sent, start, begun = 0, self.channel.edge, trio.current_time()
        with self.channel.sending():
            while sent * PACKET_S < seconds:
                await trio.sleep_until(begun + sent * PACKET_S)
                self.channel.put(b"\xf8" + (start + sent).to_bytes(4, "big"))
                sent += 1


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    channel, hub = LiveChannel("radio", 2.0), Hub()
    with offering([channel], hub.feeds) as feeds:
        async with open_cluster(hub=hub, live=("radio",)) as cluster:
            yield Studio(channel, feeds["radio"], cluster)


async def to_radio(device: Device) -> None:
    await device.press(*[MODE] * RADIO_MODE, PLAY)


async def hear(device: Device, seconds: float) -> list[tuple[float, bytes]]:
    """All packets of a time, with the time at which each came."""
    heard = []
    with trio.move_on_after(seconds):
        while (packet := await device.audio.recv_message()) is not None:
            heard.append((trio.current_time(), packet.data))
    return heard


def numbers(heard: list[tuple[float, bytes]]) -> list[int]:
    return [int.from_bytes(data[1:], "big") for _, data in heard if data != SILENCE]


async def test_a_listener_of_any_worker_is_at_the_edge_with_no_gap(
    studio: Studio, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(studio.send)
    await trio.sleep(5)
    assert studio.feed.followers == 0
    begun = trio.current_time() - studio.channel.edge * PACKET_S
    async with device_at(studio.cluster, 1) as device:
        await to_radio(device)
        heard = await hear(device, 10)
        assert studio.feed.followers == 1
    got = numbers(heard)
    assert len(got) == len(heard)  # not one packet of silence, the first one neither
    assert all(later == one + 1 for one, later in pairwise(got))
    assert 245 - 15 - 5 <= got[0] <= 255
    delays = [at - begun - number * PACKET_S for (at, _), number in zip(heard, got, strict=True)]
    assert max(delays[20:]) < 0.2
    await trio.sleep((QUIET_LOOKS + 2) * LOOK_S)
    assert studio.feed.followers == 0
    assert studio.feed.lost == 0


async def test_a_worker_with_two_listeners_is_given_each_packet_once(
    studio: Studio, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(studio.send)
    await trio.sleep(1)
    async with (
        device_at(studio.cluster, 1, "x") as one,
        device_at(studio.cluster, 1, "y") as two,
        device_at(studio.cluster, 2, "z") as three,
    ):
        heard = {}

        async def listen(name: str, device: Device) -> None:
            await to_radio(device)
            heard[name] = numbers(await hear(device, 5))

        async with trio.open_nursery() as inner:
            for name, device in (("x", one), ("y", two), ("z", three)):
                inner.start_soon(listen, name, device)
            await trio.sleep(4)
            assert studio.feed.followers == 2
    assert len(heard["x"]) > 240
    assert heard["x"] == heard["y"] == heard["z"]


async def test_leds_show_a_channel_that_cannot_be_had(
    studio: Studio, autojump_clock: MockClock
) -> None:
    async with device_at(studio.cluster, 1) as device:
        await to_radio(device)
        assert (await device.settles())[1] == ERROR
        await device.press(STOP)
        assert await device.settles() == frame(State())


async def test_a_channel_ends_on_all_workers_after_the_patience(
    studio: Studio, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    begun = trio.current_time()
    nursery.start_soon(studio.send, 6.0)
    await trio.sleep(1)
    async with device_at(studio.cluster, 2) as device:
        await to_radio(device)
        heard = []
        while not (packet := await device.audio.recv_message()).is_end:
            heard.append(packet.data)
        assert packet.data == SILENCE
        assert 7.9 < trio.current_time() - begun < 8.4
        assert int.from_bytes(max(one for one in heard if one != SILENCE)[1:], "big") == 299
    await trio.sleep((QUIET_LOOKS + 2) * LOOK_S)
    assert studio.channel.counts.inserted > 80


async def test_a_worker_that_hangs_loses_packets_and_goes_on_at_the_edge(
    studio: Studio, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The socket of one worker stands still for ten seconds; the other one notices nothing."""
    nursery.start_soon(studio.send)
    await trio.sleep(1)
    async with (
        device_at(studio.cluster, 1, "x") as slow,
        device_at(studio.cluster, 2, "y") as fast,
    ):
        await to_radio(slow)
        await to_radio(fast)
        await trio.sleep(3)
        stalled = studio.cluster.workers[1].far
        hook, released = stalled.send_stream.send_all_hook, trio.Event()
        stalled.send_stream.send_all_hook = released.wait  # nothing is confirmed
        waiting = trio.current_time()
        await trio.sleep(10)
        assert studio.feed.lost >= 10 * 50 - WINDOW - 100
        stalled.send_stream.send_all_hook = hook
        released.set()
        await trio.sleep(5)
        assert trio.current_time() - waiting == pytest.approx(15, abs=0.1)
        newest = numbers(await hear(slow, 5))
        assert studio.channel.edge - newest[-1] < 25
        assert all(later > one for one, later in pairwise(newest))
        quick = numbers(await hear(fast, 0.1))
        assert all(later == one + 1 for one, later in pairwise(quick))
