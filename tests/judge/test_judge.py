"""The judge finds a stock device right, and of each wrong one the duty that it breaks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from stub_server import StubServer
from trio.testing import MockClock
from wrong_devices import WRONG

from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings, Verdict
from audio_server.judge.seat import Seat
from audio_server.judge.service import JudgeService
from audio_server.judge.trial import Patience, run_trial
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.session import Session

SOUND = [b"\xf8" + bytes(600)] * 250
PRESSES = (Button.MODE, Button.PLAY, Button.STOP)


async def tried(
    session: type[Session] = Session, *, presses: Sequence[Button] = PRESSES, **options: bool
) -> Findings:
    put, take = trio.open_memory_channel[Seat](1)
    service = JudgeService((), put.send_nowait)
    async with trio.open_nursery() as nursery:
        there = StubServer(service, nursery)
        device = VirtualDevice("den", there.open, session=session, **options)

        def tell(line: str) -> None:
            for button in presses if line.startswith("buttons") else ():
                device.press(button)

        nursery.start_soon(device.run)
        device.switch_on()
        seat = await take.receive()
        await run_trial(seat, SOUND, tell, Patience())
        nursery.cancel_scope.cancel()
    return seat.findings


def broken(findings: Findings) -> dict[Duty, Sequence[str]]:
    return {each: findings.seen(each) for each in Duty if findings.seen(each)}


@pytest.mark.parametrize("whole_takes", [False, True])
async def test_a_stock_device_is_right(autojump_clock: MockClock, whole_takes: bool) -> None:
    findings = await tried(whole_takes=whole_takes)
    assert broken(findings) == {}
    kept = {each for each in Duty if findings.verdict(each) is Verdict.KEPT}
    assert kept == set(Duty) - {Duty.BATTERY}  # it tells none


@pytest.mark.parametrize("session", WRONG)
async def test_a_wrong_device_is_found_out(
    autojump_clock: MockClock, session: type[Session]
) -> None:
    duty, seen = WRONG[session]
    findings = await tried(session)
    assert [line for line in findings.seen(duty) if seen in line], broken(findings)


async def test_a_device_that_stays_away_is_found_out(autojump_clock: MockClock) -> None:
    findings = await tried(reconnects=False)
    assert Duty.RETURN in broken(findings)


def test_each_sentence_has_a_wrong_device() -> None:
    assert {duty for duty, _ in WRONG.values()} == set(Duty) - {Duty.RETURN}


async def test_without_presses_a_sentence_is_not_seen(autojump_clock: MockClock) -> None:
    findings = await tried(presses=())
    assert findings.verdict(Duty.LOCK_STEP) is Verdict.NOT_SEEN
    assert findings.verdict(Duty.EVENT) is Verdict.NOT_SEEN
    assert findings.is_clean
