"""Who holds a device: its streams, a newer connection, and what the older one may still do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import trio
from fake_sink import FakeOutlet
from kit import CLIPS, Connection
from trio.testing import MockClock

from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Button, Rules, State
from audio_server.device.registry import Devices

MODE, PLAY = Button.MODE, Button.PLAY

Open: TypeAlias = Callable[..., Connection]


# -- one connection


async def test_a_device_is_there_as_long_as_one_of_its_streams(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    status, audio = await first.open_status(), await first.open_audio()
    await status.drop()
    assert list(devices.by_id) == ["x"]
    await audio.drop()
    assert not devices.by_id


async def test_the_mode_stays_and_nothing_else(connect: Open, autojump_clock: MockClock) -> None:
    first = connect(1)
    await first.open_audio()
    await first.press(MODE, MODE, PLAY)
    await first.drop()
    again = connect(1)
    await again.open_events()
    assert again.state == State(2)


async def test_the_same_stream_opened_again_ends_the_older_one_only(
    connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    old, audio = await first.open_status(), await first.open_audio()
    new = await first.open_status()
    assert isinstance(old.ended_by, Superseded)
    assert new.ended_by is audio.ended_by is None
    await first.press(MODE)
    assert new.shown.leds[2] != 0


async def test_letting_go_of_a_stream_that_was_replaced_changes_nothing(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    await first.open_audio()
    audio = await first.open_audio()
    await first.press(PLAY)
    assert list(devices.by_id) == ["x"]
    assert len(audio.outlet.packets) == 15


async def test_devices_do_not_affect_each_other(connect: Open, autojump_clock: MockClock) -> None:
    one, two = connect(1, "one"), connect(2, "two")
    await one.open_audio(FakeOutlet(-math.inf))
    audio = await two.open_audio()
    await one.press(MODE, MODE, PLAY)
    await two.press(PLAY)
    await one.drop()
    assert two.state == State(playing=0)
    assert len(audio.outlet.packets) == 15


# -- take-over


async def test_a_newer_connection_takes_over_at_once(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    requests = [await old.open_status(), await old.open_audio()]
    await old.press(MODE, PLAY)
    outlet = (await new.open_audio()).outlet
    assert all(isinstance(request.ended_by, Superseded) for request in [*requests, *old.requests])
    assert requests[1].outlet.flags == "S" + "m" * 14 + "E"  # type: ignore[attr-defined]
    assert new.state == State(1)
    await trio.sleep(5)
    assert outlet.flags == ""


@pytest.mark.parametrize("gone", [False, True])
async def test_whatever_the_older_one_does_later_is_refused(
    devices: Devices, connect: Open, autojump_clock: MockClock, gone: bool
) -> None:
    old, new = connect(1), connect(2)
    await old.open_events()
    await new.press(MODE)
    if gone:
        await new.drop()
    with pytest.raises(Superseded), devices.attach_status("x", 1):
        pass
    with pytest.raises(Superseded), devices.attach_events("x", 1):
        pass
    with pytest.raises(Superseded), devices.attach_audio("x", 1, FakeOutlet()):
        pass
    await new.open_events()
    assert new.state == State(1)


async def test_take_over_does_not_wait_for_an_old_stream_that_stalls(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    stalled = (await old.open_audio()).outlet
    await old.press(PLAY)
    stalled.give(-math.inf)
    with trio.fail_after(0.001):
        audio = await new.open_audio()
        await new.press(PLAY)
    assert audio.outlet.flags == "S" + "m" * 14
    stalled.give(math.inf)
    await trio.sleep(1)
    assert stalled.flags == "S" + "m" * 14 + "E"


async def test_a_hundred_reconnects_without_a_farewell(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    outlets = []
    for number in range(1, 101):
        device = connect(number)
        await device.open_status()
        outlets.append((await device.open_audio()).outlet)
        await device.press(MODE, PLAY)
    await trio.sleep(6)
    assert device.state == State(0)
    assert [outlet.flags.count("E") for outlet in outlets] == [1] * 100
    assert len(devices.by_id) == 1


# -- links in their task


async def test_a_request_that_is_cancelled_stays_cancelled(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    """Superseded and cancelled at once: the cancel is the request's, and wins."""
    with trio.CancelScope() as scope, devices.attach_status("x", 1):
        scope.cancel()
        with devices.attach_status("x", 2):
            pass
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_error_of_the_request_stays_its_error(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    with pytest.raises(KeyError), devices.attach_status("x", 1):  # noqa: PT012
        with devices.attach_status("x", 2):
            pass
        raise KeyError


async def test_a_link_may_use_the_scope_of_its_request(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:  # noqa: SIM117
        with pytest.raises(Superseded), devices.attach_status("x", 1, scope):  # noqa: PT012
            with devices.attach_status("x", 2):
                assert scope.cancel_called
            await trio.sleep_forever()
    assert list(devices.by_id) == []


async def test_in_that_scope_too_a_cancelled_request_stays_cancelled(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope, devices.attach_audio("x", 1, FakeOutlet(), scope):
        scope.cancel()
        await trio.sleep_forever()
    assert scope.cancelled_caught
    assert list(devices.by_id) == []


async def test_in_that_scope_too_an_error_of_the_request_stays_its_error(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:  # noqa: SIM117
        with pytest.raises(KeyError), devices.attach_events("x", 1, scope):  # noqa: PT012
            await trio.lowlevel.checkpoint()
            with devices.attach_status("x", 2):
                pass
            raise KeyError


async def test_attaching_before_run_is_a_mistake(devices: Devices) -> None:
    with pytest.raises(RuntimeError, match="not running"), devices.attach_status("x", 1):
        pass


def test_rules_must_know_the_clips() -> None:
    with pytest.raises(ValueError, match="rules for 4 clips, but there are 5"):
        Devices(CLIPS, Rules(4), 0.3)
