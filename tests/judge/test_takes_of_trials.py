"""The grammar of sound before the judge, however a trial or a call of it ends, and the messages of
a device that it keeps."""

from __future__ import annotations

import gc
import re
import weakref
from typing import Any

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from test_connected import SOUND, standing
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.takeover import CallKind
from audio_server.judge.bench import STOPPING
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Verdict
from audio_server.judge.open_call import OpenCall
from audio_server.judge.order import Order
from audio_server.judge.seat import Seat
from audio_server.judge.try_sound import try_sound
from audio_server.simulator import events
from audio_server.wire.audio import PACKET_MS, frame_packet
from audio_server.wire.comms_pb2 import AudioPacket


class FakeCall:
    """A call whose device reads no sound from `stalls_at` on, for `stalls_s`."""

    def __init__(self, stalls_at: int = 1 << 30, stalls_s: float = 0.0) -> None:
        self.flags = ""
        self.scope = trio.CancelScope()
        self.peer = None
        self.messages = 0
        self._stalls_at = stalls_at
        self._stalls_s = stalls_s
        self._until = 0.0

    def send_nowait(self, framed: bytes) -> None:
        packet = AudioPacket.FromString(framed[5:])
        self.flags += "mSEB"[packet.is_start + 2 * packet.is_end]

    async def send_framed(self, framed: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if len(self.flags) >= self._stalls_at:
            self._until = self._until or trio.current_time() + self._stalls_s
            await trio.sleep_until(self._until)
        self.send_nowait(framed)

    async def recv_message(self) -> Any:
        await trio.lowlevel.checkpoint()
        if not self.messages:
            await trio.sleep_forever()
        self.messages -= 1
        return bytes(1000)

    def revoke(self) -> None: ...


async def used(seat: Seat, call: FakeCall, kind: CallKind) -> None:
    with call.scope:
        try:
            await seat.use(call, kind)  # type: ignore[arg-type]
        except GRPCError:
            return


@pytest.mark.parametrize("stalls_at", [0, 100, 250, 251, 260, 275, 276, 280, 286, 290, 300])
async def test_a_device_that_reads_no_sound_for_a_while(
    autojump_clock: MockClock, nursery: trio.Nursery, stalls_at: int
) -> None:
    seat, call = Seat("den"), FakeCall(stalls_at, 3.5)
    nursery.start_soon(used, seat, call, CallKind.AUDIO)
    await wait_all_tasks_blocked()
    await try_sound(seat, SOUND)
    seat.give_back()
    await wait_all_tasks_blocked()
    assert re.fullmatch("(Sm*E|B)*", call.flags), call.flags
    assert seat.findings.verdict(Duty.SOUND) is Verdict.BROKEN


@pytest.mark.parametrize("is_ended", [True, False])
async def test_a_call_that_ends_within_a_take(
    autojump_clock: MockClock, nursery: trio.Nursery, is_ended: bool
) -> None:
    """By the judge, or by a newer one of the device."""
    seat, call = Seat("den"), FakeCall()
    nursery.start_soon(used, seat, call, CallKind.AUDIO)
    await wait_all_tasks_blocked()
    audio: OpenCall = seat.calls[CallKind.AUDIO]
    await audio.send_packet(frame_packet(b"\xf8", is_start=True), ends=False)
    if is_ended:
        audio.end(Status.INTERNAL)
    else:
        call.scope.cancel()
    await wait_all_tasks_blocked()
    assert call.flags == "SE"


async def test_a_shutdown_closes_the_take_of_a_trial(autojump_clock: MockClock) -> None:
    async with standing() as stand:
        device, order = await stand.device(), Order("stops")
        sounds: list[events.PacketReceived] = []
        device.observers.append(
            lambda _, event: (
                sounds.append(event) if isinstance(event, events.PacketReceived) else None
            )
        )
        while len(sounds) < 50:
            assert stand.bench.judge("den", order).result == "done"
            await trio.sleep(0.1)
        peer = stand.devices.by_id["den"].peer
        assert peer in stand.devices.peers_playing()
        with trio.fail_after(0.5):
            await stand.devices.end_takes()
        await trio.sleep(PACKET_MS / 1000)
        assert sounds[-1].is_end
        before = len(sounds)
        await trio.sleep(1.0)
        assert len(sounds) == before
        assert stand.bench.judge("den", order).refusal == STOPPING


async def test_calls_and_messages_of_a_device_are_not_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """It may open calls, and send messages on them, without end."""
    seat = Seat("den")
    seen: weakref.WeakSet[FakeCall] = weakref.WeakSet()
    for _ in range(50):
        call = FakeCall()
        seen.add(call)
        nursery.start_soon(used, seat, call, CallKind.STATUS)
        await wait_all_tasks_blocked()
    del call
    gc.collect()
    assert len(seen) <= 2


async def test_messages_are_read_no_faster_than_a_server_reads_them(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    seat, call = Seat("den"), FakeCall()
    call.messages = 1000
    nursery.start_soon(used, seat, call, CallKind.STATUS)
    await trio.sleep(10.0)
    assert 200 < seat.calls[CallKind.STATUS].count < 300
