"""The step of sound: a take in real time, then takes that are short, cut, or pause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import trio
from grpclib.exceptions import GRPCError

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.open_call import OpenCall
from audio_server.judge.seat import Seat
from audio_server.judge.try_leds import FIRST, SECOND, set_leds
from audio_server.wire.audio import CUT, PACKET_MS, frame_packet

LEAD_S = 0.3
ROOM_S = 3.0
"""A device that plays a take while it comes makes room for a packet every 20 ms."""

ANSWER_S = 2.0
"""A server would wait for 5 s; that is longer than most takes."""

PAUSE_S = 1.5
EVERY_S = 1.0
_PACKET_S = PACKET_MS / 1000

_Frame: TypeAlias = tuple[bytes, bool]
"""A packet as it is sent, and whether it ends its take."""


async def try_sound(seat: Seat, sound: Sequence[bytes]) -> None:
    """Judge how a device takes sound, and how it goes on meanwhile. Raises `DeviceLeft`, in a
    group."""
    audio, findings = seat.newest[CallKind.AUDIO], seat.findings
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ask_on, seat)
        taken = await _play(audio, _framed(sound))
        nursery.cancel_scope.cancel()
    all_taken = taken == len(sound)
    if not all_taken:
        await seat.check_there()
    held = f"took {taken} of {len(sound)} packets, then none for {ROOM_S:g} s"
    findings.judge(Duty.SOUND, None if all_taken else held)
    if not all_taken or audio.is_over():
        return
    # A device that plays whole recordings reads nothing while it plays this one.
    await trio.sleep(len(sound) * _PACKET_S)
    await _try_takes(seat, audio, sound)


async def _try_takes(seat: Seat, audio: OpenCall, sound: Sequence[bytes]) -> None:
    others = [call for call in seat.calls.values() if call is not audio]
    short = _framed(sound[:25])
    takes = _framed(sound[:1]), [*short[:-1], (CUT, True)], short[:10]
    all_taken = await _play_all(audio, takes)
    if all_taken:
        await trio.sleep(PAUSE_S)
        all_taken = await _play_all(audio, [short[10:]])
    over = await seat.wait(lambda: audio.is_over() or any(c.is_over() for c in others), PAUSE_S)
    if over or not all_taken:
        await seat.check_there()
    if not (over or all_taken):
        seat.findings.broken(Duty.SOUND, f"took none of a short take for {ROOM_S:g} s")
        return
    seat.findings.judge(Duty.TAKES, "ended a call after short takes" if over else None)


async def _play_all(audio: OpenCall, takes: Iterable[Sequence[_Frame]]) -> bool:
    """Return whether all were taken: after one that was not, none may follow in its middle."""
    for frames in takes:
        if await _play(audio, frames) < len(frames):
            return False
    return True


async def _ask_on(seat: Seat) -> None:
    while True:
        for frame in (FIRST, SECOND):
            await trio.sleep(EVERY_S)
            breach = await set_leds(seat, frame, ANSWER_S)
            seat.findings.judge(Duty.MEANWHILE, breach)


def _framed(packets: Sequence[bytes]) -> list[_Frame]:
    last = len(packets) - 1
    return [
        (frame_packet(data, is_start=index == 0, is_end=index == last), index == last)
        for index, data in enumerate(packets)
    ]


async def _play(audio: OpenCall, frames: Sequence[_Frame]) -> int:
    """Send packets in real time, a little ahead; return how many were taken. A take that is not
    taken whole is cut."""
    begin = trio.current_time()
    for index, (frame, ends) in enumerate(frames):
        await trio.sleep_until(begin + index * _PACKET_S - LEAD_S)
        try:
            with trio.fail_after(ROOM_S):
                await audio.send_packet(frame, ends=ends)
        except (trio.TooSlowError, GRPCError):
            audio.close_take()
            return index
    return len(frames)
