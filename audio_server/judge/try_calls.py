"""The first step: the three calls of a device, and its silence until it is asked."""

from __future__ import annotations

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.open_call import OpenCall
from audio_server.judge.seat import Seat

OPEN_S = 5.0
QUIET_S = 1.0
START_S = 5.0


async def try_calls(seat: Seat) -> None:
    """Judge how a device comes; nothing is sent to it meanwhile."""
    findings = seat.findings
    if not await seat.wait(lambda: seat.is_complete, OPEN_S):
        findings.broken(Duty.CALLS, missing_calls(seat))
        return
    findings.kept(Duty.CALLS)
    findings.kept(Duty.ID)
    await _judge_start(seat, seat.newest[CallKind.AUDIO])
    if (status := seat.calls.get(CallKind.STATUS)) is None:
        return
    spoke = await seat.wait(lambda: status.count, QUIET_S)
    findings.judge(Duty.SILENT, "spoke before it was asked" if spoke else None)


async def _judge_start(seat: Seat, audio: OpenCall) -> None:
    if not await seat.wait(lambda: audio.count, START_S):
        seat.findings.broken(Duty.START, f"sent no request within {START_S:g} s")
        return
    wrong = not audio.first.start
    seat.findings.judge(Duty.START, "sent `start: false`" if wrong else None)
    if await seat.wait(lambda: audio.count > 1, QUIET_S):
        seat.findings.broken(Duty.START, "sent a second request")


def missing_calls(seat: Seat) -> str:
    """Return the breach of a device that has not all calls open."""
    missing = ", ".join(kind.value for kind in CallKind if kind not in seat.calls)
    return f"not open after {OPEN_S:g} s: {missing}"
