"""The product's own server against the oracle, in memory and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio
from stub_server import StubServer
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Action, Rules
from audio_server.device.behaviour import Button as Buttons
from audio_server.device.device import Device
from audio_server.device.press_queue import Press
from audio_server.device.registry import Devices
from audio_server.service.device_service import DeviceService
from audio_server.simulator.buttons import Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import Event, LedsSet, StateAsked
from audio_server.simulator.options import Options
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.script import parse_script
from audio_server.simulator.scripted import Judged, perform
from audio_server.simulator.verdict import (
    MODE_WHILE_PLAYING,
    PLAY_WHILE_PLAYING,
    STOP_GOES,
    Limits,
    Rule,
    ServerRules,
)

SOUND = b"\xf8\x01\x02"
SECONDS = (1.0, 70.0, 5.0, 0.02, 2.5)
OPTIONS = Options(device_id="den", tolerance_ms=20, modes=len(SECONDS))
ISSUE = "connect mode mode play wait:2 play wait:1 stop mode play wait:1 connect connect play"


@asynccontextmanager
async def server(rules: Rules, lead_s: float) -> AsyncIterator[StubServer]:
    seconds = SECONDS[: rules.clips]
    clips = [Clip.from_packets(f"clip {s}", [SOUND] * round(s * 50)) for s in seconds]
    devices = Devices(clips, rules, lead_s)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with trio.open_nursery() as connections:
            yield StubServer(DeviceService(devices), connections, devices=devices)
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


SETTINGS = [
    ("connect mode play wait:2 play wait:1 stop", "play_while_playing", "ignore", Rule.SILENT),
    ("connect mode play wait:2 play wait:80 stop", "play_while_playing", "queue", Rule.SILENT),
    ("connect wait:3 play wait:0.8 mode wait:1 play", "mode_while_playing", "stop", Rule.LEDS),
    ("connect mode play wait:2 mode wait:1 stop", "mode_while_playing", "switch", Rule.UNASKED),
    ("connect mode play wait:2 stop wait:1", "stop_goes", "keep", Rule.LEDS),
    ("connect mode wait:2 stop wait:1", "stop_goes", "keep", Rule.LEDS),
]
CUT_BY_MODE = "connect mode play wait:2 mode wait:1 play wait:1"
"""Breaks no rule of "keep" if the cut arrives before the LEDs: a server may end a take itself."""


@pytest.mark.parametrize(
    ("script", "setting", "value"),
    [*(row[:3] for row in SETTINGS), (CUT_BY_MODE, "mode_while_playing", "stop")],
)
async def test_a_setting_that_is_not_told_is_found_out(
    autojump_clock: MockClock, script: str, setting: str, value: str
) -> None:
    rules = Rules(clips=len(SECONDS), **{setting: value})  # type: ignore[arg-type]
    (judged,) = await run(script, rules=rules)
    assert told([judged]) == []
    assert judged.oracle.rules == ServerRules(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("script", "setting", "value", "rule"), SETTINGS)
@pytest.mark.parametrize("is_right", [True, False])
async def test_a_setting_that_is_told_is_judged_by(
    autojump_clock: MockClock, script: str, setting: str, value: str, rule: Rule, is_right: bool
) -> None:
    """Alone, for a take that was not asked for could be an operator's."""
    rules = Rules(clips=len(SECONDS), **{setting: value})  # type: ignore[arg-type]
    default = getattr(ServerRules(), setting)
    options = replace(OPTIONS, alone=True, **{setting: value if is_right else default})
    fleet = await run(script, options, rules=rules)
    assert (broken(fleet) == set()) is is_right
    assert is_right or rule in broken(fleet)


RULES = [
    (play, mode, stop)
    for play in PLAY_WHILE_PLAYING
    for mode in MODE_WHILE_PLAYING
    for stop in STOP_GOES
]


@pytest.mark.parametrize(("play", "mode", "stop"), RULES)
async def test_any_settings_at_random(
    autojump_clock: MockClock, play: Any, mode: Any, stop: Any
) -> None:
    """With two clips, so that most modes have none."""
    rules = Rules(2, play_while_playing=play, mode_while_playing=mode, stop_goes=stop)
    options = replace(OPTIONS, devices=2, seed=RULES.index((play, mode, stop)), modes=None)
    assert told(await run("connect random:6", options, rules=rules)) == []


# -- modes without a clip

CLIPLESS = "connect mode mode mode play wait:1 play wait:1 mode wait:1 stop play wait:0.5 stop"


@pytest.mark.parametrize("modes", [None, 2])
async def test_a_mode_without_a_clip_shows_the_error(
    autojump_clock: MockClock, modes: int | None
) -> None:
    options = replace(OPTIONS, modes=modes, alone=True)
    (judged,) = await run(CLIPLESS, options, rules=Rules(clips=2))
    assert told([judged]) == []
    assert len(judged.report.takes) == 1
    assert {str(note) for note in judged.notes} == {
        "the error was shown: a mode has no clip, or a bad one"
    }


async def test_a_play_over_sound_in_a_mode_without_a_clip(autojump_clock: MockClock) -> None:
    script = "connect mode play wait:2 mode play wait:1 stop wait:1"
    assert told(await run(script, replace(OPTIONS, modes=None), rules=Rules(clips=2))) == []


async def test_an_error_in_a_mode_that_has_a_clip_is_seen(autojump_clock: MockClock) -> None:
    fleet = await run(CLIPLESS, OPTIONS, rules=Rules(clips=2))
    assert Rule.SILENT in broken(fleet)


# -- a take-over, and operators


async def test_a_take_over_is_told_and_is_no_breach(autojump_clock: MockClock) -> None:
    """Also when the device then takes over in its turn."""
    script = "connect mode play wait:3 mode wait:1 play wait:1 reconnect wait:3 stop wait:1"
    async with server(Rules(clips=len(SECONDS)), 0.3) as there, trio.open_nursery() as nursery:
        other = VirtualDevice("den", there.open, reconnects=False)
        nursery.start_soon(other.run)
        nursery.start_soon(after, 2.0, other.switch_on)
        nursery.start_soon(after, 3.0, other.press, Button.MODE)
        (judged,) = await perform(OPTIONS, parse_script(script), open_channel=there.open)
        nursery.cancel_scope.cancel()
    assert told([judged]) == []
    (note,) = map(str, judged.notes)
    assert note.startswith("another connection with this device's id took over (")
    assert note.endswith(": ABORTED: the device came back on another connection)")


async def test_alone_a_take_over_is_a_breach(autojump_clock: MockClock) -> None:
    async with server(Rules(clips=len(SECONDS)), 0.3) as there, trio.open_nursery() as nursery:
        other = VirtualDevice("den", there.open, reconnects=False)
        nursery.start_soon(other.run)
        nursery.start_soon(after, 2.0, other.switch_on)
        options = replace(OPTIONS, alone=True)
        fleet = await perform(options, parse_script("connect wait:4"), open_channel=there.open)
        nursery.cancel_scope.cancel()
    assert broken(fleet) == {Rule.LOST}


async def after(seconds: float, do: Callable[..., object], *arguments: object) -> None:
    await trio.sleep(seconds)
    do(*arguments)


@pytest.mark.parametrize(
    "act",
    [
        lambda device: device.play(2),
        lambda device: device.play(4),
        lambda device: device.stop(),
        *[
            lambda device, button=button: device.press(Press(button, Action.PRESS, trio.Event()))
            for button in Buttons
        ],
    ],
)
@pytest.mark.parametrize("at_s", [0.5, 2.5, 3.5, 6.0])
@pytest.mark.parametrize("clips", [2, 5])
async def test_what_an_operator_does_is_no_breach(
    autojump_clock: MockClock, act: Callable[[Device], object], at_s: float, clips: int
) -> None:
    """During the start-up, while idle, while playing, and when the sound has ended."""
    script = "connect wait:3 play wait:4 mode wait:1 stop wait:1 mode mode wait:1 stop wait:1"
    async with server(Rules(clips), 0.3) as there, trio.open_nursery() as nursery:
        nursery.start_soon(after, at_s, lambda: act(there.devices.by_id["den"]))
        options = replace(OPTIONS, modes=None)
        fleet = await perform(options, parse_script(script), open_channel=there.open)
        nursery.cancel_scope.cancel()
    assert told(fleet) == []
