"""The virtual device does what the stock device does (device contract, section 2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import trio
import trio.testing
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from stub_server import StubServer, StubService

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.simulator.events import (
    Call,
    CallLost,
    CallReopened,
    Connected,
    ConnectFailed,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
    ReadingPaused,
    ReadingResumed,
    RequestUnclear,
)
from audio_server.wire.audio import SILENCE
from audio_server.wire.comms_pb2 import (
    AudioPacket,
    DeviceEvent,
    DeviceStatusRequest,
    DeviceStatusSet,
    RGBAColor,
)

settled = trio.testing.wait_all_tasks_blocked


class Bench:
    """A device, the server it talks to, and all that happened to it."""

    def __init__(self, server: StubServer, device: VirtualDevice) -> None:
        self.server, self.service, self.device = server, server.service, device
        self.seen: list[Event] = []
        self.times: list[float] = []
        device.observers.append(self._see)

    def _see(self, at_s: float, what: Event) -> None:
        self.seen.append(what)
        self.times.append(at_s)

    async def connect(self) -> None:
        self.device.switch_on()
        await self.device.link.wait_value(Link.ONLINE)
        await settled()

    async def ask(self, request: DeviceStatusRequest) -> Any:
        await self.service.calls["status"].send_message(request)
        await settled()
        return self.service.heard[-1]

    def of(self, kind: type[Event]) -> list[Event]:
        return [what for what in self.seen if isinstance(what, kind)]


@asynccontextmanager
async def bench(service: Any = None, **options: Any) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        service = service or StubService()
        server = StubServer(service, nursery, closed=lambda: service.log.append("closed"))
        device = VirtualDevice("den", server.open, **options)
        await nursery.start(device.run)
        yield Bench(server, device)
        device.switch_off()
        await device.wait_off()
        nursery.cancel_scope.cancel()


def led_set(*values: int | None) -> DeviceStatusRequest:
    leds = {f"led_{n}": RGBAColor(rgba=v) for n, v in enumerate(values) if v is not None}
    return DeviceStatusRequest(set=DeviceStatusSet(**leds))


async def test_it_opens_three_calls_and_says_nothing_until_asked() -> None:
    async with bench() as b:
        await b.connect()
        assert sorted(b.service.log) == ["audio from den", "events from den", "status from den"]
        assert [type(m).__name__ for m in b.service.heard] == ["AudioStreamRequest"]
        assert b.service.heard[0].start


async def test_it_draws_what_is_set_and_says_so() -> None:
    async with bench() as b:
        await b.connect()
        answer = await b.ask(led_set(0x11111111, 0x00FF0080, None, 0xABCDEF01, 0, 0))
        assert answer.status == "success"
        assert b.device.colours == (0xFFFFFF, 0x00FF00, 0, 0xABCDEF, 0, 0)
        assert b.of(LedsSet) == [LedsSet((0x11111111, 0x00FF0080, None, 0xABCDEF01, 0, 0))]


async def test_it_answers_get_with_leds_alone() -> None:
    async with bench() as b:
        await b.connect()
        await b.ask(led_set(1, 0x10203040, 0, 0, 0, 0))
        state = (await b.ask(DeviceStatusRequest(get=True))).state
        assert [getattr(state, f"led_{n}").rgba for n in range(3)] == [0xFFFFFFFF, 0x102030FF, 0xFF]
        assert state.battery_level == 0.0
        assert {field.name for field, _ in state.ListFields()} == {f"led_{n}" for n in range(6)}


async def test_a_request_that_is_neither_is_answered_with_an_error() -> None:
    async with bench() as b:
        await b.connect()
        assert (await b.ask(DeviceStatusRequest())).status != "success"
        assert b.of(RequestUnclear)


async def test_events_go_in_lock_step() -> None:
    service = StubService()
    service.acks = trio.Semaphore(0)
    async with bench(service) as b:
        await b.connect()
        b.device.press(Button.MODE)
        b.device.press(Button.PLAY, Action.HOLD)
        await settled()
        assert b.of(EventSent) == [EventSent(Button.MODE)]
        assert b.device.queued == 1
        service.acks.release()
        await settled()
        assert b.of(EventSent)[1:] == [EventSent(Button.PLAY, Action.HOLD)]
        assert b.of(EventAcked) == [EventAcked(True)]


async def test_events_say_which_button_and_what_was_done() -> None:
    async with bench() as b:
        b.device.press(Button.CONNECT)
        b.device.press(Button.PLAY, Action.RELEASE)
        b.device.press(Button.NONE)
        await b.connect()
        first, second, unset = [m for m in b.service.heard if isinstance(m, DeviceEvent)]
        assert (first.button_event.button_id, first.button_event.event) == (0, 0)
        assert (second.button_event.button_id, second.button_event.event) == (3, 2)
        assert not unset.HasField("button_event")
        assert b.of(EventAcked) == [EventAcked(True), EventAcked(True), EventAcked(False)]


async def test_switching_off_cancels_the_calls_then_closes() -> None:
    async with bench() as b:
        await b.connect()
        b.device.switch_off()
        await b.device.wait_off()
        await settled()
        cancelled = {f"{name} cancelled" for name in ("status", "events", "audio")}
        assert b.service.log[3:].index("closed") >= 0
        assert cancelled <= set(b.service.log)
        assert b.seen[-1] == Disconnected()


async def test_a_cancel_from_outside_hangs_up_in_the_same_order() -> None:
    async with trio.open_nursery() as servers:
        service = StubService()
        server = StubServer(service, servers, closed=lambda: service.log.append("closed"))
        device = VirtualDevice("den", server.open)
        device.switch_on()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(device.run)
            await device.link.wait_value(Link.ONLINE)
            await settled()
            nursery.cancel_scope.cancel()
        assert device.link.value is Link.OFF
        await settled()
        cancelled = {f"{name} cancelled" for name in ("status", "events", "audio")}
        assert set(service.log[3:]) == {*cancelled, "closed"}
        servers.cancel_scope.cancel()


async def test_it_comes_back_at_once() -> None:
    async with bench() as b:
        await b.connect()
        b.device.switch_off()
        b.device.switch_on()
        await b.device.link.wait_value(Link.CONNECTING)
        await b.connect()
        assert len(b.server.transports) == 2
        assert [type(w) for w in b.seen if isinstance(w, Connected | Disconnected)] == [
            Connected,
            Disconnected,
            Connected,
        ]


async def test_switching_off_before_it_began_connects_nothing() -> None:
    async with bench() as b:
        b.device.switch_on()
        b.device.switch_off()
        await settled()
        assert b.seen == []


async def test_it_looks_for_a_lost_server_ever_more_slowly(autojump_clock: object) -> None:
    async with bench() as b:
        await b.connect()
        b.server.reachable = False
        await trio.aclose_forcefully(b.server.transports[0])
        await trio.sleep(20)
        waits = [round(later - now, 3) for now, later in pairwise(failures(b))]
        assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 5.0]
        b.server.reachable = True
        await b.device.link.wait_value(Link.ONLINE)
        assert len(b.server.transports) == 2


def failures(b: Bench) -> list[float]:
    return [
        at_s for at_s, what in zip(b.times, b.seen, strict=True) if isinstance(what, ConnectFailed)
    ]


async def test_without_reconnecting_a_lost_server_leaves_it_off() -> None:
    async with bench(reconnects=False) as b:
        await b.connect()
        await trio.aclose_forcefully(b.server.transports[0])
        await b.device.wait_off()
        assert not b.device.is_on
        assert isinstance(b.seen[-1], Disconnected)
        assert "UNAVAILABLE" in b.seen[-1].reason


class Failing(StubService):
    async def StatusStream(self, call: Any) -> None:  # noqa: N802
        raise GRPCError(Status.INTERNAL, "broken")


async def test_a_call_that_fails_alone_is_opened_again(autojump_clock: object) -> None:
    async with bench(Failing()) as b:
        await b.connect()
        await trio.sleep(1.1)
        b.device.press(Button.MODE)
        await settled()
        assert b.of(EventAcked)
        assert b.of(CallLost)[0] == CallLost(Call.STATUS, "INTERNAL: broken")
        assert b.of(CallReopened) == [CallReopened(Call.STATUS)]
        assert b.device.link.value is Link.ONLINE


class Talking(StubService):
    """Sends two takes of two packets as fast as the device takes them."""

    async def ServerAudioStream(self, call: Any) -> None:  # noqa: N802
        for number in range(4):
            is_end = bool(number % 2)
            packet = AudioPacket(is_start=not is_end, is_end=is_end, data=SILENCE)
            await call.send_message(packet)
        await trio.sleep_forever()


async def test_it_reads_audio_unless_told_not_to() -> None:
    async with bench(Talking()) as b:
        b.device.pause_reading()
        await b.connect()
        assert not b.of(PacketReceived)
        b.device.resume_reading()
        await settled()
        assert len(b.of(PacketReceived)) == 4


async def test_it_may_read_nothing_while_it_plays_a_take(autojump_clock: object) -> None:
    async with bench(Talking(), whole_takes=True) as b:
        await b.connect()
        assert len(b.of(PacketReceived)) == 2
        await trio.sleep(0.05)
        kinds = [type(what) for what in b.seen if not isinstance(what, PacketReceived)]
        assert kinds[2:] == [ReadingPaused, ReadingResumed, ReadingPaused]
        assert len(b.of(PacketReceived)) == 4


async def test_nothing_is_left_behind_by_many_reconnects() -> None:
    times = 20
    async with bench() as b:
        for _ in range(times):
            await b.connect()
            b.device.switch_off()
            await b.device.wait_off()
        assert b.service.log.count("closed") == times
        assert b.service.log.count("audio cancelled") == times
