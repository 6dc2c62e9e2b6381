"""Servers that are wrong in one thing each, against a judge that allows all that the docs allow:
unknown settings, operators, modes without a clip, take-overs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
from stub_server import StubServer
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import (
    Action,
    Button,
    DefaultBehaviour,
    Effect,
    Rules,
    State,
    Step,
)
from audio_server.device.leds import Frame, leds
from audio_server.device.registry import Devices
from audio_server.service.device_service import DeviceService
from audio_server.simulator.options import Options
from audio_server.simulator.script import parse_script
from audio_server.simulator.scripted import Judged, perform
from audio_server.simulator.verdict import Rule

SOUND = b"\xf8\x01\x02"
OPTIONS = Options(device_id="den", tolerance_ms=20)
SCRIPT = (
    "connect wait:2 mode play wait:2 play wait:1 mode wait:1 stop wait:1 play until-end wait:1 "
    "mode play wait:1 reconnect wait:3 stop wait:1"
)


async def judged(
    behaviour: DefaultBehaviour, script: str = SCRIPT, clips: int = 5, options: Options = OPTIONS
) -> Judged:
    sounds = [Clip.from_packets(f"clip {n}", [SOUND] * 100 * (n + 1)) for n in range(clips)]
    devices = Devices(sounds, Rules(clips), 0.3, behaviour=behaviour)
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        async with trio.open_nursery() as connections:
            there = StubServer(DeviceService(devices), connections)
            (found,) = await perform(options, parse_script(script), open_channel=there.open)
            connections.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    return found


def broken(found: Judged) -> set[Rule]:
    return {violation.rule for violation in found.violations}


class Acting(DefaultBehaviour):
    """Does another thing for one button."""

    def __init__(self, button: Button, act: Callable[[Rules, State], Step]) -> None:
        self._button = button
        self._act = act

    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        if button is self._button and action is Action.PRESS:
            return self._act(rules, state)
        return super().on_button(rules, state, button, action)


class Showing(DefaultBehaviour):
    """Shows another thing."""

    def __init__(self, show: Callable[[State], Frame]) -> None:
        self._show = show

    def leds(self, state: State) -> Frame:
        return self._show(state)


def skips_a_mode(rules: Rules, state: State) -> Step:
    return state._replace(mode=(state.mode + 2) % rules.modes), Effect.NONE


def plays_on(rules: Rules, state: State) -> Step:
    return state._replace(mode=0), Effect.NONE


def says_nothing(rules: Rules, state: State) -> Step:
    return state, Effect.NONE


def plays_and_is_in_error(rules: Rules, state: State) -> Step:
    return State(state.mode, playing=state.mode, error=True), Effect.START


WRONG = {
    "Mode skips one": (Acting(Button.MODE, skips_a_mode), Rule.LEDS),
    "Mode does nothing": (Acting(Button.MODE, says_nothing), Rule.LEDS),
    "Stop does not cut": (Acting(Button.STOP, plays_on), Rule.STOP),
    "Play does nothing": (Acting(Button.PLAY, says_nothing), Rule.SILENT),
    "playing is shown as idle": (Showing(lambda state: leds(State(state.mode))), Rule.LEDS),
    "idle is shown as playing": (Showing(lambda state: leds(State(state.mode, 0))), Rule.LEDS),
    "modes are not shown": (Showing(lambda state: leds(state._replace(mode=0))), Rule.LEDS),
    "a frame of no state": (Showing(lambda state: (0xFF,) * 6), Rule.LEDS),
}


@pytest.mark.parametrize(("behaviour", "rule"), WRONG.values(), ids=WRONG)
async def test_a_wrong_server_is_caught(
    autojump_clock: MockClock, behaviour: DefaultBehaviour, rule: Rule
) -> None:
    assert rule in broken(await judged(behaviour))


async def test_a_server_that_plays_in_error_is_caught(autojump_clock: MockClock) -> None:
    """The rule depends on the one that comes first: the error, or the sound."""
    behaviour = Acting(Button.PLAY, plays_and_is_in_error)
    assert broken(await judged(behaviour)) & {Rule.STOP, Rule.LEDS}


async def test_a_right_one_is_not(autojump_clock: MockClock) -> None:
    assert broken(await judged(DefaultBehaviour())) == set()


async def test_dimmer_leds_are_right(autojump_clock: MockClock) -> None:
    """A device ignores the intensity, and LED 0 is its own."""

    def dimmed(state: State) -> Frame:
        _, *others = (led & 0xFFFFFF00 | 0x20 for led in leds(state))
        return (0, *others)  # type: ignore[return-value]

    assert broken(await judged(Showing(dimmed))) == set()


class Erring(DefaultBehaviour):
    """Shows an error that no clip explains: with the first press of a script, or of any button."""

    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        if button is Button.MODE:
            return State(state.mode + 1, error=True), Effect.CUT
        return super().on_button(rules, state, button, action)


async def test_an_error_without_a_play_is_caught(autojump_clock: MockClock) -> None:
    assert Rule.LEDS in broken(await judged(Erring(), "connect wait:3 mode wait:1"))


class Refusing(DefaultBehaviour):
    """Is in error in a mode that has a clip."""

    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        if button is Button.PLAY:
            return State(state.mode, error=True), Effect.CUT
        return super().on_button(rules, state, button, action)


@pytest.mark.parametrize(("modes", "is_caught"), [(5, True), (None, False)])
async def test_an_error_in_a_mode_with_a_clip_is_caught_where_their_number_is_told(
    autojump_clock: MockClock, modes: int | None, is_caught: bool
) -> None:
    """Else the clip may be one that cannot be read: there is a note."""
    options = replace(OPTIONS, modes=modes)
    found = await judged(Refusing(), "connect wait:2 mode play wait:1", options=options)
    assert (Rule.SILENT in broken(found)) is is_caught
    assert is_caught or found.notes


async def with_a_meddler(
    script: str, at_s: float, meddle: Callable[[Devices], object], options: Options = OPTIONS
) -> Judged:
    """A server that does something of its own accord."""
    sounds = [Clip.from_packets(f"clip {n}", [SOUND] * 500) for n in range(5)]
    devices = Devices(sounds, Rules(5), 0.3)

    async def later() -> None:
        await trio.sleep(at_s)
        meddle(devices)

    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        nursery.start_soon(later)
        async with trio.open_nursery() as connections:
            there = StubServer(DeviceService(devices), connections)
            (found,) = await perform(options, parse_script(script), open_channel=there.open)
            connections.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    return found


def plays(devices: Devices) -> None:
    devices.by_id["den"].play(2)


@pytest.mark.parametrize(
    ("script", "at_s"),
    [
        ("connect mode play wait:2 reconnect wait:3", 2.2),  # what was lost is resumed
        ("connect mode play wait:2 stop wait:3", 2.2),  # what was stopped is resumed
    ],
)
async def test_a_take_that_is_resumed_is_caught(
    autojump_clock: MockClock, script: str, at_s: float
) -> None:
    assert Rule.UNASKED in broken(await with_a_meddler(script, at_s, plays))


@pytest.mark.parametrize("alone", [False, True])
async def test_any_other_take_is_an_operators_unless_the_device_is_alone(
    autojump_clock: MockClock, alone: bool
) -> None:
    options = replace(OPTIONS, alone=alone)
    found = await with_a_meddler("connect wait:6", 3.0, plays, options)
    assert (Rule.UNASKED in broken(found)) is alone
    assert alone or "a take started that this device did not ask for" in map(str, found.notes)


def ends_one_call(devices: Devices) -> None:
    """As a take-over would, but of the `StatusStream` alone."""
    device = devices.by_id["den"]
    status = next(link for kind, link in device.attachments.items() if kind.value == "status")
    status.end(Superseded, Superseded.MOVED)


async def test_a_take_over_that_leaves_calls_open_is_caught(autojump_clock: MockClock) -> None:
    assert broken(await with_a_meddler("connect wait:4", 2.0, ends_one_call)) == {Rule.LOST}
