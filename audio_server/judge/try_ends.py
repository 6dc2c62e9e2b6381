"""The last step: a call ends alone, then the connection, then all calls with ABORTED."""

from __future__ import annotations

import trio
from grpclib.const import Status

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.seat import SETTLED_S, Seat
from audio_server.judge.try_calls import try_calls

ALONE_S = 10.0
"""Time in which a device opens again a call that has ended alone, if it does."""

PATIENT_S = 0.9
"""A second, less the time that the end of a call is on its way."""

ENDS = {
    CallKind.STATUS: Status.INTERNAL,
    CallKind.AUDIO: Status.INTERNAL,
    CallKind.EVENTS: Status.OK,
}
"""How each call ends when it ends alone, in order. That of events is the last one: a device that
waits for a press may not notice, and open it no more."""


async def try_ends(seat: Seat, return_s: float) -> None:
    """Judge how a device takes it when calls and connections end."""
    for kind in ENDS:
        if not await _end_one(seat, kind, return_s):
            return
    if await _end_all(seat, Status.UNAVAILABLE, return_s):
        seat.findings.kept(Duty.RETURN)
        await try_calls(seat)
        await _abort(seat, return_s)
    else:
        seat.findings.broken(Duty.RETURN, f"did not come back within {return_s:g} s")


async def _end_one(seat: Seat, kind: CallKind, return_s: float) -> bool:
    """End a call; return whether the device is there, or comes again."""
    if not await seat.wait(lambda: seat.is_complete, ALONE_S):
        return True
    others = [call for call in seat.calls.values() if call.kind is not kind]
    seat.newest[kind].end(ENDS[kind])
    await trio.sleep(SETTLED_S)
    await seat.wait(lambda: seat.is_complete, ALONE_S)
    gone = any(call.is_over() for call in others)
    wrong = gone and not await seat.wait(lambda: seat.is_complete, return_s)
    breach = f"ended its other calls with {kind.value}, and did not open them again"
    seat.findings.judge(Duty.ALONE, breach if wrong else None)
    return not wrong


async def _end_all(seat: Seat, status: Status, return_s: float) -> bool:
    """End all calls; return whether all come again."""
    seat.is_dropped = True
    for call in list(seat.calls.values()):
        call.end(status)
    await seat.wait(lambda: not seat.calls, SETTLED_S)
    is_back = await seat.wait(lambda: seat.is_complete, return_s)
    seat.is_dropped = False
    return is_back


async def _abort(seat: Seat, return_s: float) -> None:
    at_s, seat.came_at_s = trio.current_time(), None
    if not await _end_all(seat, Status.ABORTED, return_s):
        seat.findings.broken(Duty.RETURN, f"did not come back within {return_s:g} s of ABORTED")
        return
    after_s = (seat.came_at_s or at_s) - at_s
    soon = f"came again {after_s:.2f} s after ABORTED"
    seat.findings.judge(Duty.PATIENCE, None if after_s >= PATIENT_S else soon)
