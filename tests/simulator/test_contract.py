"""The product's own server against the oracle, in memory and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from stub_server import StubServer
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.service.device_service import DeviceService
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import Event, LedsSet, StateAsked
from audio_server.simulator.options import Options
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.script import parse_script
from audio_server.simulator.scripted import Judged, perform
from audio_server.simulator.verdict import Limits, Rule

SOUND = b"\xf8\x01\x02"
SECONDS = (1.0, 70.0, 5.0, 0.02, 2.5)
OPTIONS = Options(device_id="den", tolerance_ms=20, modes=len(SECONDS))
ISSUE = "connect mode mode play wait:2 play wait:1 stop mode play wait:1 connect connect play"


@asynccontextmanager
async def server(rules: Rules, lead_s: float) -> AsyncIterator[StubServer]:
    clips = [Clip.from_packets(f"clip {s}", [SOUND] * round(s * 50)) for s in SECONDS]
    devices = Devices(clips, rules, lead_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with trio.open_nursery() as connections:
            yield StubServer(DeviceService(devices), connections)
            connections.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def run(
    script: str, options: Options = OPTIONS, *, rules: Rules | None = None, lead_s: float = 0.3
) -> list[Judged]:
    async with server(rules or Rules(clips=len(SECONDS)), lead_s) as there:
        return await perform(options, parse_script(script), open_channel=there.open)


def broken(fleet: list[Judged]) -> set[Rule]:
    return {violation.rule for judged in fleet for violation in judged.violations}


def told(fleet: list[Judged]) -> list[str]:
    return [str(violation) for judged in fleet for violation in judged.violations]


@pytest.mark.parametrize(
    "script",
    [
        f"{ISSUE} wait:1 stop",
        "connect wait:4",
        "connect mode play until-end wait:1",
        "connect mode mode mode play wait:1 mode mode wait:1 play until-end",
        "connect mode play wait:1 reconnect wait:3 play wait:1 off wait:1 on wait:3",
        "connect mode play wait:2 deaf wait:20 hear wait:5 stop wait:1",
        "connect mode play wait:1 deaf play wait:3 hear wait:2 stop play wait:2",
        "connect unset hold:play release:play hold:connect mode unset wait:2 stop",
        "connect wait:0.3 mode wait:0.3 connect wait:3 stop stop stop wait:1",
    ],
)
async def test_our_server_keeps_the_contract(autojump_clock: MockClock, script: str) -> None:
    assert told(await run(script)) == []


async def test_the_reference_clients_way_of_playing_is_served_too(
    autojump_clock: MockClock,
) -> None:
    fleet = await run("connect mode mode play wait:7 play wait:1 stop", whole_takes(OPTIONS))
    assert told(fleet) == []
    assert fleet[0].report.takes[0].packets == 250


def whole_takes(options: Options) -> Options:
    return replace(options, whole_takes=True)


async def test_ten_devices_that_do_what_they_like(autojump_clock: MockClock) -> None:
    fleet = await run("connect random:20", replace(OPTIONS, devices=10, seed=42))
    assert told(fleet) == []
    assert min(len(judged.report.takes) for judged in fleet) > 10
    assert sum(judged.report.connections for judged in fleet) > 50


async def test_a_device_that_draws_wrongly_is_corrected_and_nobody_is_blamed(
    autojump_clock: MockClock,
) -> None:
    asked: list[float] = []
    async with server(Rules(clips=len(SECONDS)), 0.3) as there, trio.open_nursery() as nursery:
        device, oracle = VirtualDevice("den", there.open), Oracle(Limits(), modes=len(SECONDS))

        def draw(at_s: float, event: Event) -> None:
            if isinstance(event, StateAsked):
                asked.append(at_s)
            elif isinstance(event, LedsSet):
                device.colours = (0x123456,) * 6

        device.observers += [oracle.feed, draw]
        nursery.start_soon(device.run)
        device.switch_on()
        await trio.sleep(300)
        device.press(Button.MODE)
        await trio.sleep(300)
        oracle.tick(trio.current_time())
        nursery.cancel_scope.cancel()
    assert len(asked) > 4
    assert oracle.violations == []


async def test_a_lead_that_is_too_long_is_seen(autojump_clock: MockClock) -> None:
    fleet = await run("connect mode play wait:2 stop", lead_s=0.6)
    assert broken(fleet) == {Rule.PACE, Rule.STOP}


@pytest.mark.parametrize(
    ("script", "setting", "value", "rule"),
    [
        ("connect mode play wait:2 play wait:1", "play_while_playing", "ignore", Rule.SILENT),
        ("connect mode play wait:2 mode wait:1", "mode_while_playing", "switch", Rule.UNASKED),
        ("connect mode play wait:2 stop wait:1", "stop_goes", "keep", Rule.LEDS),
    ],
)
async def test_other_rules_are_seen(
    autojump_clock: MockClock, script: str, setting: str, value: str, rule: Rule
) -> None:
    rules = Rules(clips=len(SECONDS), **{setting: value})  # type: ignore[arg-type]
    assert rule in broken(await run(script, rules=rules))
