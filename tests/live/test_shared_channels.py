"""Live channels of several nodes: one sender, each packet once to each node that listens, and the
semantics of live sound at all of them, whatever happens to the engine."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import trio
from memory_engine import LEASE_S, SETTLE_S, MemoryEngine, MemoryLink
from trio.testing import MockClock

from audio_server.cluster.engine_feeds import RENEW_S, EngineFeeds
from audio_server.cluster.feeds import Feed, Feeds
from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.node_feeds import WAITING_MAX, Sound
from audio_server.device.audio_stream import AudioStream
from audio_server.device.live_channel import ChannelBusy
from audio_server.device.pace import Pace
from audio_server.device.playback import Playback, PlaybackFailed
from audio_server.device.timer_wheel import TimerWheel
from audio_server.live.feed import FollowedChannel, offering
from audio_server.live.shared import AWAY_S, LOOK_S, QUIET_LOOKS, SharedChannel, SharedLive
from audio_server.wire.audio import SILENCE, unframe_packet

PACKET_S, PATIENCE_S = 0.02, 2.0
QUIET_S = (QUIET_LOOKS + 1) * LOOK_S


class Counts(Instrumentation):
    """Those of one node."""

    def __init__(self) -> None:
        self.live: dict[str, int] = {}

    def live_packets(self, what: str, count: int) -> None:
        self.live[what] = self.live.get(what, 0) + count


class Heard:
    """Packets of `SharedChannel.subscribe`."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def began(self) -> None:
        """Nothing."""

    def ended(self) -> None:
        """Nothing."""

    def put(self, packet: bytes) -> None:
        self.packets.append(packet)


class Listener:
    """A device that plays a channel, and its `AudioSink`."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.end: str | None = None

    @property
    def numbers(self) -> list[tuple[int, int]]:
        """The sender and the number of each packet with sound."""
        sound = [data for _, data in self.heard if data != SILENCE]
        return [(data[1], int.from_bytes(data[2:], "big")) for data in sound]

    def numbers_of(self, sender: int) -> list[int]:
        return [number for one, number in self.numbers if one == sender]

    async def play(self, channel: Any) -> None:
        timer_wheel = TimerWheel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(timer_wheel.run)
            playback = Playback(channel, Pace(0.3), timer_wheel)
            try:
                await playback.play(AudioStream(self))
                self.end = "is over"
            except PlaybackFailed as failed:
                self.end = str(failed)
            nursery.cancel_scope.cancel()

    def room(self) -> int:
        return 1 << 30

    async def wait_room(self) -> None:
        await trio.lowlevel.checkpoint()

    def send_at_once(self, frames: bytes) -> bool:
        self.send_nowait(frames)
        return True

    def send_nowait(self, frames: bytes) -> None:
        while frames:
            size = 5 + int.from_bytes(frames[1:5], "big")
            self.heard.append((trio.current_time(), unframe_packet(frames[:size])))
            frames = frames[size:]


class Station:
    """A node with the channel `radio`."""

    def __init__(self, engine: MemoryEngine, number: int, nursery: trio.Nursery) -> None:
        self.number = number
        self.name = f"node-{number}"
        self.link = MemoryLink(engine)
        self.counts = Counts()
        feeds = EngineFeeds(self.link, self.counts)  # type: ignore[arg-type]
        self.live = SharedLive(["radio", "hall"], ["radio"], PATIENCE_S, feeds)
        self.channel: SharedChannel = self.live.channels[0]
        self.turn = self.live.turns["radio"]
        self.scope = trio.CancelScope()
        self.is_refused = False
        self.sent = 0
        self._nursery = nursery

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            async with self.live.joined(self.name):
                await trio.sleep(0.01)
                task_status.started()
                await trio.sleep_forever()

    async def send(self, seconds: float = math.inf) -> None:
        """Send numbered packets in real time."""
        begun, sent = trio.current_time(), 0
        try:
            with self.channel.sending():
                while sent * PACKET_S < seconds:
                    await trio.sleep_until(begun + sent * PACKET_S)
                    self.channel.put(b"\xf8" + bytes([self.number]) + sent.to_bytes(4, "big"))
                    sent = self.sent = sent + 1
        except ChannelBusy:
            self.is_refused = True

    def listen(self) -> Listener:
        listener = Listener()
        self._nursery.start_soon(listener.play, self.channel)
        return listener


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
async def stations(engine: MemoryEngine, nursery: trio.Nursery) -> AsyncIterator[list[Station]]:
    stations = [Station(engine, number, nursery) for number in range(3)]
    for one in stations:
        await nursery.start(one.run)
    yield stations
    nursery.cancel_scope.cancel()


def is_without_gap(numbers: list[int]) -> bool:
    return bool(numbers) and all(later == one + 1 for one, later in pairwise(numbers))


async def test_a_listener_at_another_node_is_at_the_edge_with_no_gap(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    engine.delay_s = 0.002
    begun = trio.current_time()
    nursery.start_soon(a.send)
    await trio.sleep(5)
    assert engine.sounds() == 0
    assert [one.channel.place for one in stations] == ["node-0"] * 3
    near, far = a.listen(), b.listen()
    await trio.sleep(10)
    for one in (near, far):
        assert len(one.numbers) == len(one.heard)  # not one packet of silence
        assert is_without_gap(one.numbers_of(0))
        assert 250 - 15 - 3 <= one.numbers_of(0)[0] <= 250
    delays = sorted(
        at - begun - number * PACKET_S
        for (at, _), number in list(zip(far.heard, far.numbers_of(0), strict=True))[15:]
    )
    assert delays[int(len(delays) * 0.99)] < 0.15
    assert c.counts.live == {}
    assert a.counts.live["sent"] == b.counts.live["received"]
    assert b.counts.live["missed"] == 0


async def test_packets_go_once_to_each_node_with_listeners_and_only_while_there_are_any(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    async with trio.open_nursery() as listening:
        for one in (b, b, c):
            listening.start_soon(Listener().play, one.channel)
        await trio.sleep(4)
        assert engine.sounds() == pytest.approx(200, abs=2)  # once, whoever hears it
        assert a.counts.live["sent"] == pytest.approx(400, abs=4)
        listening.cancel_scope.cancel()
    await trio.sleep(QUIET_S)
    sent = engine.sounds()
    await trio.sleep(10)
    assert engine.sounds() == sent
    late = c.listen()
    await trio.sleep(1)
    assert is_without_gap(late.numbers_of(0))
    assert a.sent - late.numbers_of(0)[-1] < 10


async def test_packets_that_devices_could_not_play_reach_none(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    """A node of another version, or another program, may send such to the engine."""
    a, b, _ = stations
    nursery.start_soon(a.send)
    await trio.sleep(1.0)
    listener = b.listen()
    await trio.sleep(1.01)
    node = engine.rows["as:live:channel:radio"].node
    for wrong in (b"", b"\xff", b"\xfc" + bytes(4), b"\xf8" + bytes(2000)):
        sound = Sound("radio", node, a.sent, [wrong])
        engine.publish("as:live:sound:radio", msgspec.msgpack.encode(sound))
        await trio.sleep(0.1)
    await trio.sleep(1.0)
    assert len(listener.numbers) > 100
    assert {len(data) for _, data in listener.heard} <= {6, len(SILENCE)}


async def test_a_channel_has_one_sender_in_all_nodes(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    nursery.start_soon(a.send, 2.0)
    await trio.sleep(1)
    await b.send(1.0)
    assert b.is_refused
    assert not a.is_refused
    far = c.listen()
    await trio.sleep(1.5)
    assert [one.channel.is_sending for one in stations] == [False] * 3  # free at once
    nursery.start_soon(b.send)
    await trio.sleep(3)
    assert far.end is None  # it goes on with the next sender
    assert is_without_gap(far.numbers_of(1))


async def test_of_two_senders_at_the_same_time_one_is_ended(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    nursery.start_soon(a.send)
    nursery.start_soon(b.send)
    await trio.sleep(0.05)
    assert a.is_refused or b.is_refused
    await trio.sleep(5)
    assert a.is_refused != b.is_refused
    assert len({one.channel.place for one in stations}) == 1


async def test_a_sender_that_stalls_is_ended_too(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    b.link.cut()
    nursery.start_soon(a.send)
    await trio.sleep(0.5)

    async def stall() -> None:
        with pytest.raises(ChannelBusy), b.channel.sending():
            await trio.sleep_forever()

    async with trio.open_nursery() as inner:
        inner.start_soon(stall)
        await trio.sleep(0.5)
        b.link.mend()
    with pytest.raises(ChannelBusy):
        b.channel.put(b"late")


async def test_a_node_that_is_killed_frees_its_channel_and_takes_end_in_time(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    far = b.listen()
    await trio.sleep(1)
    a.link.cut()  # it sends no more, and gives nothing up
    a.live._feeds._leases._session = None
    with trio.fail_after(LEASE_S + RENEW_S + 0.1):
        while b.channel.is_sending:  # noqa: ASYNC110
            await trio.sleep(0.01)
    killed = trio.current_time()
    with trio.fail_after(PATIENCE_S + 0.2):
        while far.end is None:  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert far.end == "is over"
    assert trio.current_time() - killed >= PATIENCE_S - 0.2
    await c.send(0.1)
    assert not c.is_refused


async def test_without_the_engine_each_node_has_its_own_and_then_the_oldest_wins(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    at_a, at_b, at_c = (one.listen() for one in stations)
    await trio.sleep(1)
    engine.kill()
    c.link.cut()  # the last one to come back
    await trio.sleep(1)
    nursery.start_soon(b.send)
    await trio.sleep(0.5)
    assert at_c.end is None
    await trio.sleep(0.5)
    assert at_b.numbers[-1][0] == 1  # its own
    await trio.sleep(1)
    assert at_c.end == "is over"
    a.link.cut()
    engine.start()
    await trio.sleep(2)
    assert engine.row("as:live:channel:radio").name == "node-1"  # type: ignore[union-attr]
    a.link.mend()
    await trio.sleep(2)
    assert b.is_refused
    assert not a.is_refused
    assert is_without_gap(at_a.numbers_of(0))
    assert at_b.end is None
    assert at_b.numbers[-1][0] == 0
    assert a.sent - at_b.numbers[-1][1] < 10


async def test_a_node_that_was_cut_off_alone_gives_way(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, c = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    at_a = a.listen()
    a.link.cut()
    await trio.sleep(LEASE_S + RENEW_S + 0.1)
    nursery.start_soon(b.send)
    await trio.sleep(10)
    assert is_without_gap(at_a.numbers_of(0))
    a.link.mend()
    await trio.sleep(2)
    assert a.is_refused
    assert not b.is_refused
    assert at_a.numbers[-1][0] == 1
    assert c.channel.place == "node-1"


async def test_an_engine_that_hangs_harms_no_local_listener_and_loses_old_packets(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    near, far = a.listen(), b.listen()
    await trio.sleep(2)
    engine.hang()
    await trio.sleep(10)
    outflow = a.channel._feed._out
    assert len(outflow._waiting) == WAITING_MAX
    assert outflow._in_flight == 5
    assert a.counts.live["dropped"] >= 500 - WAITING_MAX - 50
    engine.go_on()
    await trio.sleep(5)
    assert is_without_gap(near.numbers_of(0))
    assert len(near.numbers) == len(near.heard)
    assert b.counts.live["missed"] == b.channel.counts.lost >= a.counts.live["dropped"]
    assert a.sent - far.numbers[-1][1] < 15
    assert far.end is None


async def test_a_node_that_lost_the_engine_joins_again_at_the_edge(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    nursery.start_soon(a.send)
    await trio.sleep(1)
    far = b.listen()
    await trio.sleep(1)
    b.link.cut()
    await trio.sleep(1)
    b.link.mend()
    await trio.sleep(2)
    assert far.end is None
    assert a.sent - far.numbers[-1][1] < 10
    assert far.numbers_of(0) == sorted(set(far.numbers_of(0)))
    assert 40 < b.counts.live["missed"] < 70
    b.link.cut()
    await trio.sleep(PATIENCE_S + 0.5)
    assert far.end == "is over"
    late = b.listen()
    await trio.sleep(0.1)
    assert late.end == "no sound is sent to radio"


async def test_only_the_node_with_the_sender_records(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    here, there = Heard(), Heard()
    a.channel.subscribe(here)
    b.channel.subscribe(there)
    nursery.start_soon(a.send, 3.0)
    await trio.sleep(1)
    far = b.listen()
    await trio.sleep(4)
    assert far.numbers
    assert len(here.packets) == 150
    assert there.packets == []
    nursery.start_soon(b.send, 1.0)
    await trio.sleep(2)
    assert len(there.packets) == 50
    assert len(here.packets) == 150


class WorkerFeeds:
    """The `FeedClient` of a worker, without a socket between."""

    def __init__(self, feeds: Feeds) -> None:
        self.feeds = feeds
        self.channel: FollowedChannel | None = None

    def follow(self, key: str) -> None:
        self.feeds.follow("worker", self._give, key)

    def _give(self, key: str, number: int, data: Any) -> None:
        assert self.channel is not None
        self.channel.fed(number, data)

    def unfollow(self, key: str) -> None:
        self.feeds.unfollow("worker", key)

    def heard(self, key: str, number: int, note: Any) -> None:
        self.feeds.heard("worker", key, number, note)


async def test_a_worker_of_another_machine_listens_as_one_of_this(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
    nursery: trio.Nursery,
) -> None:
    a, b, _ = stations
    feeds = Feeds()
    with offering([b.channel], feeds) as offered:
        feed: Feed = offered["radio"]
        client = WorkerFeeds(feeds)
        channel = client.channel = FollowedChannel("radio", PATIENCE_S, client)
        nursery.start_soon(look, channel)
        nursery.start_soon(a.send)
        await trio.sleep(5)
        assert engine.sounds() == 0
        far = Listener()
        async with trio.open_nursery() as listening:
            listening.start_soon(far.play, channel)
            await trio.sleep(10)
            assert feed.followers == 1
            listening.cancel_scope.cancel()
        assert len(far.numbers) == len(far.heard) - 1  # the end alone is silent
        assert is_without_gap(far.numbers_of(0))
        assert 250 - 15 - 3 <= far.numbers_of(0)[0] <= 250
        assert b.counts.live["received"] == pytest.approx(500, abs=5)
        await trio.sleep(2 * QUIET_S)
        sent = engine.sounds()
        await trio.sleep(2)
        assert engine.sounds() == sent


async def look(channel: FollowedChannel) -> None:
    while True:
        await trio.sleep(LOOK_S)
        channel.look()


async def test_one_node_reads_a_source_and_the_next_one_when_it_is_gone(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
) -> None:
    assert [one.turn.value for one in stations] == [True, False, False]
    stations[0].link.cut()
    await trio.sleep(LEASE_S + RENEW_S + 0.1)
    assert sum(one.turn.value for one in stations[1:]) == 1
    await trio.sleep(SETTLE_S)
    stations[0].link.mend()
    await trio.sleep(2)
    assert not stations[0].turn.value
    assert sum(one.turn.value for one in stations) == 1


async def test_without_the_engine_each_node_reads_a_source_after_a_while(
    autojump_clock: MockClock,
    engine: MemoryEngine,
    stations: list[Station],
) -> None:
    engine.kill()
    await trio.sleep(AWAY_S - LOOK_S)
    assert [one.turn.value for one in stations] == [True, False, False]
    await trio.sleep(2 * LOOK_S)
    assert [one.turn.value for one in stations] == [True, True, True]
    engine.start()
    await trio.sleep(2)
    assert sum(one.turn.value for one in stations) == 1
