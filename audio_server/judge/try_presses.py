"""The step of buttons: each press is acknowledged late, and the next one has to wait for that."""

from __future__ import annotations

import trio

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Verdict
from audio_server.judge.seat import Seat

ACK_AFTER_S = 1.0
PRESSES = 3


async def try_presses(seat: Seat, within_s: float) -> None:
    """Judge the presses of the next seconds; without two there is nothing to judge."""
    events = seat.newest[CallKind.EVENTS]
    before = events.count
    seat.ack_after_s = ACK_AFTER_S
    try:
        await seat.wait(lambda: events.count - before >= PRESSES or events.is_over(), within_s)
        await trio.sleep(ACK_AFTER_S)
        if events.is_over():
            await seat.check_there()
    finally:
        seat.ack_after_s = 0.0
    findings = seat.findings
    if events.count - before > 1 and findings.verdict(Duty.LOCK_STEP) is not Verdict.BROKEN:
        findings.kept(Duty.LOCK_STEP)
