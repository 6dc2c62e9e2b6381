"""The judge of devices that are connected to a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import trio
from stub_server import StubServer
from trio.testing import MockClock
from wrong_devices import WRONG

from audio_server.assembly import make_devices
from audio_server.clips.clip import Clip
from audio_server.judge import bench as judge_bench
from audio_server.judge.bench import AT_ONCE, FULL, JUDGED, PLAYS, STOPPING, Bench
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings, Verdict
from audio_server.judge.order import Order, Progress
from audio_server.judge.report import findings_of
from audio_server.service.device_service import DeviceService
from audio_server.settings import Settings
from audio_server.simulator import events, wrong
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.simulator.judge import Judge
from audio_server.simulator.session import Session
from audio_server.simulator.verdict import Limits

SOUND = [b"\xf8" + bytes(600)] * 250
CLIPS = [Clip.from_packets(f"clip{mode}", [b"\xf8" + bytes(60)] * 3000) for mode in range(5)]
PRESSES = (Button.MODE, Button.PLAY, Button.STOP)
NUMBERS = count(1)


async def sound() -> Sequence[bytes]:
    return SOUND


class Stand:
    """A running server, with devices that come through memory."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.devices = make_devices(Settings(), CLIPS)
        self.bench = Bench(self.devices, sound)
        self.server = StubServer(DeviceService(self.devices), nursery)
        self._nursery = nursery

    async def device(
        self, device_id: str = "den", session: type[Session] = Session, **options: bool
    ) -> VirtualDevice:
        """A device that has been on for a while."""
        device = VirtualDevice(device_id, self.server.open, session=session, **options)
        self._nursery.start_soon(device.run)
        device.switch_on()
        await trio.sleep(3.0)
        return device

    async def judged(
        self,
        device: VirtualDevice,
        told: Sequence[str] = (),
        at: dict[str, Callable[[], Any]] | None = None,
        **order: Any,
    ) -> Progress:
        """Judge a device to the end. `at` has acts by the beginning of a step's name."""
        acts = {"buttons": lambda: [device.press(button) for button in PRESSES], **(at or {})}
        asked, seen = Order(str(next(NUMBERS)), **order), 0
        while True:
            progress = self.bench.judge("den", asked, told)
            for step in progress.steps[seen:]:
                acts.get(step.partition(":")[0].partition(" ")[0], lambda: None)()
            seen, asked = len(progress.steps), asked._replace(again=True)
            if progress.result != "done" or progress.outcome is not None:
                return progress
            await trio.sleep(0.1)


@asynccontextmanager
async def standing() -> AsyncIterator[Stand]:
    async with trio.open_nursery() as nursery:
        stand = Stand(nursery)
        await nursery.start(stand.devices.run)
        yield stand
        nursery.cancel_scope.cancel()


def found(progress: Progress) -> Findings:
    assert progress.outcome is not None
    return findings_of(progress.outcome)


def broken(findings: Findings) -> dict[Duty, Sequence[str]]:
    return {each: findings.seen(each) for each in Duty if findings.seen(each)}


@pytest.mark.parametrize("whole_takes", [False, True])
async def test_a_stock_device_is_right(autojump_clock: MockClock, whole_takes: bool) -> None:
    async with standing() as stand:
        progress = await stand.judged(await stand.device(whole_takes=whole_takes))
    findings = found(progress)
    assert broken(findings) == {}
    kept = {each for each in Duty if findings.verdict(each) is Verdict.KEPT}
    assert kept == set(Duty) - {Duty.BATTERY}  # it tells none
    assert progress.outcome is not None
    assert progress.outcome["left"] is None


# Another id is another device to a running server: the one that is judged has gone.
CONNECTED = WRONG | {wrong.NewIdEachTime: (Duty.RETURN, "did not come back within 60 s")}


@pytest.mark.parametrize("session", CONNECTED)
async def test_a_wrong_device_is_found_out(
    autojump_clock: MockClock, session: type[Session]
) -> None:
    duty, seen = CONNECTED[session]
    async with standing() as stand:
        findings = found(await stand.judged(await stand.device(session=session)))
    assert [line for line in findings.seen(duty) if seen in line], broken(findings)


def test_each_sentence_has_a_wrong_device() -> None:
    assert {duty for duty, _ in CONNECTED.values()} == set(Duty) - {Duty.ID}


async def test_a_device_is_as_before_and_no_other_one_notices(autojump_clock: MockClock) -> None:
    async with standing() as stand:
        told: list[tuple[str, str]] = []
        device, other = await stand.device(), await stand.device("hall")
        oracle = Judge(Limits())
        other.observers.append(oracle.feed)
        other.press(Button.PLAY)
        for _ in range(3):
            device.press(Button.MODE)
        await trio.sleep(1.0)
        here, shown = stand.devices.by_id["den"], device.colours
        stand.devices.subscribe(Told(told))
        findings = found(await stand.judged(device))
        await trio.sleep(3.0)
        assert broken(findings) == {}
        assert (stand.devices.by_id["den"], device.link.value) == (here, Link.ONLINE)
        assert (here.state.mode, here.is_playing, device.colours) == (3, False, shown)
        assert {kind for device_id, kind in told if device_id == "den"} == {"action", "leds"}
        assert {kind for device_id, kind in told if device_id == "hall"} <= {"take_ended", "leds"}
        oracle.tick(trio.current_time())
        assert oracle.violations == []
        heard: list[events.Event] = []
        device.observers.append(lambda _, event: heard.append(event))
        device.press(Button.PLAY)
        await trio.sleep(1.0)
        assert any(isinstance(one, events.PacketReceived) and one.is_start for one in heard)


async def test_a_device_that_plays_is_judged_only_where_that_is_allowed(
    autojump_clock: MockClock,
) -> None:
    async with standing() as stand:
        device = await stand.device()
        sounds: list[events.PacketReceived] = []
        device.observers.append(
            lambda _, event: (
                sounds.append(event) if isinstance(event, events.PacketReceived) else None
            )
        )
        device.press(Button.PLAY)
        await trio.sleep(1.0)
        refused = await stand.judged(device)
        assert refused == Progress("failed", PLAYS)
        assert stand.devices.by_id["den"].is_playing
        assert broken(found(await stand.judged(device, cut=True))) == {}
        assert not stand.devices.by_id["den"].is_playing
        assert "".join("SE"[one.is_end] for one in sounds if one.is_start != one.is_end) == (
            "SE" * sum(one.is_start and not one.is_end for one in sounds)
        )


async def test_a_device_that_leaves_breaks_nothing(autojump_clock: MockClock) -> None:
    for step in ("LEDs", "sound", "buttons"):
        async with standing() as stand:
            device = await stand.device()
            off = {step: device.switch_off}
            progress = await stand.judged(device, at=off)
            assert broken(found(progress)) == {}
            assert progress.outcome is not None
            assert progress.outcome["left"] == f"the device left ({step})"
            assert "den" not in stand.devices.by_id


async def test_a_device_that_comes_back_elsewhere_has_come_back(
    autojump_clock: MockClock,
) -> None:
    async with standing() as stand:
        device = await stand.device(reconnects=False)

        async def move() -> None:
            await device.wait_off()
            stand.devices.release("den")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(move)
            progress = await stand.judged(device)
        findings = found(progress)
        assert (broken(findings), findings.verdict(Duty.RETURN)) == ({}, Verdict.KEPT)
        assert progress.outcome is not None
        assert "another process" in progress.outcome["left"]


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_trial_ends_with_the_wish_for_it(autojump_clock: MockClock, says_so: bool) -> None:
    async with standing() as stand:
        device, order = await stand.device(), Order("1")
        sounds: list[events.PacketReceived] = []
        device.observers.append(
            lambda _, event: (
                sounds.append(event) if isinstance(event, events.PacketReceived) else None
            )
        )
        while not sounds:
            assert stand.bench.judge("den", order).result == "done"
            await trio.sleep(0.1)
        if says_so:
            stand.bench.judge("den", order._replace(again=True, ends=True))
        await trio.sleep(1.0 if says_so else judge_bench.UNASKED_S + 3.0)
        here = stand.devices.by_id["den"]
        assert (here.loan, len(here.attachments)) == (None, 3)
        assert (sounds[-1].is_end, here.report.errors) == (True, 0)
        assert broken(found(await stand.judged(device))) == {}


async def test_a_device_is_judged_once_at_a_time_and_few_at_once(
    autojump_clock: MockClock,
) -> None:
    async with standing() as stand:
        ids = [f"den{number}" for number in range(AT_ONCE)]
        for device_id in (*ids, "hall"):
            await stand.device(device_id)
        for device_id in ids:
            assert stand.bench.judge(device_id, Order(device_id)).result == "done"
        assert stand.bench.judge("den0", Order("again")) == Progress("failed", JUDGED)
        assert stand.bench.judge("hall", Order("more")) == Progress("failed", FULL)
        assert stand.bench.judge("nobody", Order("none")) == Progress("gone")


async def test_a_trial_that_is_ended_at_once_lends_no_device(autojump_clock: MockClock) -> None:
    """Else two trials would have one device, and the end of the first gave it back."""
    async with standing() as stand:
        await stand.device()
        stand.bench.judge("den", Order("first"))
        stand.bench.judge("den", Order("first", again=True, ends=True))
        stand.bench.judge("den", Order("second"))
        await trio.sleep(3.0)
        progress = stand.bench.judge("den", Order("second", again=True))
        assert (progress.result, len(progress.steps)) == ("done", 2)
        assert stand.devices.by_id["den"].loan is not None


async def slow_sound() -> Sequence[bytes]:
    await trio.sleep(1.0)
    return SOUND


async def test_no_trial_begins_in_a_shutdown(autojump_clock: MockClock) -> None:
    async with standing() as stand:
        await stand.device()
        slow = Bench(stand.devices, slow_sound)
        slow.judge("den", Order("slow"))
        await stand.devices.end_takes()
        await trio.sleep(1.5)
        assert stand.devices.by_id["den"].loan is None
        assert slow.judge("den", Order("slow", again=True)).refusal == STOPPING


async def test_two_trials_of_a_device_that_begin_at_once(autojump_clock: MockClock) -> None:
    """One waits for its sound to be made meanwhile."""
    async with standing() as stand:
        await stand.device()
        slow = Bench(stand.devices, slow_sound)
        slow.judge("den", Order("slow"))
        stand.bench.judge("den", Order("quick"))
        await trio.sleep(4.0)
        assert slow.judge("den", Order("slow", again=True)).refusal == JUDGED
        assert stand.bench.judge("den", Order("quick", again=True)).result == "done"
        assert stand.devices.by_id["den"].loan is not None


async def test_a_trial_that_runs_is_kept_before_those_that_are_over(
    autojump_clock: MockClock,
) -> None:
    async with standing() as stand:
        await stand.device()
        long = Order("long", press_s=120.0)
        stand.bench.judge("den", long)
        for number in range(judge_bench.KEPT):
            device_id = f"hall{number}"
            await stand.device(device_id)
            assert stand.bench.judge(device_id, Order(device_id)).result == "done"
            stand.devices.release(device_id)  # so that the trial is over, and nobody asks
            await trio.sleep(5.0)
            progress = stand.bench.judge("den", long._replace(again=True))
            assert (progress.result, progress.outcome) == ("done", None)


async def test_breaches_of_before_count(autojump_clock: MockClock) -> None:
    async with standing() as stand:
        told = ['refused LEDs: "ok" (expected "success")', "another fault"]
        findings = found(await stand.judged(await stand.device(), told, press_s=0.0))
    assert broken(findings) == {Duty.SET: [f"before the trial: {told[0]}"]}
    assert findings.verdict(Duty.LOCK_STEP) is Verdict.NOT_SEEN


class Told:
    """A listener that keeps the device and the kind of each event."""

    def __init__(self, told: list[tuple[str, str]]) -> None:
        self._told = told

    def happened(self, device_id: str, kind: Any, *details: object) -> None:
        self._told.append((device_id, kind.value))

    def changed(self, device_id: str) -> None: ...
