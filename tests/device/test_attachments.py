"""Which calls hold a device: take-over by call, and what an ended call may still do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
import trio
from fake_sink import FakeSink
from kit import CLIPS, Connection
from trio.testing import MockClock

from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Button, Rules, State
from audio_server.device.leds import leds
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
    assert len(audio.sink.packets) == 15


async def test_devices_do_not_affect_each_other(connect: Open, autojump_clock: MockClock) -> None:
    one, two = connect(1, "one"), connect(2, "two")
    await one.open_audio(FakeSink(-math.inf))
    audio = await two.open_audio()
    await one.press(MODE, MODE, PLAY)
    await two.press(PLAY)
    await one.drop()
    assert two.state == State(playing=0)
    assert len(audio.sink.packets) == 15


# -- take-over


async def test_a_device_that_comes_back_takes_over_at_once(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    requests = [await old.open_status(), await old.open_audio()]
    await old.press(MODE, PLAY)
    sink = (await new.open_audio()).sink
    assert all(isinstance(request.ended_by, Superseded) for request in [*requests, *old.requests])
    assert requests[1].sink.flags == "S" + "m" * 14 + "E"  # type: ignore[attr-defined]
    assert new.state == State(1)
    await trio.sleep(5)
    assert sink.flags == ""


async def test_the_newest_call_wins_whatever_the_age_of_its_connection(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    await old.open_audio()
    await new.open_audio()
    await new.press(MODE, PLAY)
    again = await old.open_audio()
    assert all(isinstance(request.ended_by, Superseded) for request in new.requests)
    assert again.ended_by is None
    assert old.state == State(1)
    await old.press(PLAY)
    assert again.sink.flags == "S" + "m" * 14


async def test_a_device_that_is_gone_may_come_back_on_an_older_connection(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    await new.press(MODE)
    await new.drop()
    await old.press(MODE)
    assert old.state == State(2)


async def test_three_calls_may_come_on_three_connections(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    status, audio = await connect(1).open_status(), await connect(3).open_audio()
    await connect(2).press(MODE, PLAY)
    assert status.ended_by is audio.ended_by is None
    assert audio.sink.flags == "S" + "m" * 14
    assert status.shown.leds == leds(State(1, playing=1))
    assert [attachment.connection for attachment in devices.by_id["x"].attachments.values()] == [
        1,
        3,
        2,
    ]


async def test_one_of_them_may_be_opened_again_and_the_others_go_on(
    connect: Open, autojump_clock: MockClock
) -> None:
    status, audio = await connect(1).open_status(), await connect(3).open_audio()
    await connect(2).press(MODE, PLAY)
    again = await connect(4).open_status()
    assert isinstance(status.ended_by, Superseded)
    assert again.ended_by is audio.ended_by is None
    await trio.sleep(5)
    assert audio.sink.flags == "S" + "m" * 98 + "E"
    assert again.shown.leds == leds(State(1))


async def test_what_plays_ends_with_the_audio_call_that_is_opened_again_elsewhere(
    connect: Open, autojump_clock: MockClock
) -> None:
    audio = await connect(3).open_audio()
    await connect(2).press(PLAY)
    again = await connect(4).open_audio()
    assert audio.sink.flags == "S" + "m" * 14 + "E"
    await trio.sleep(5)
    assert again.sink.flags == ""


async def test_a_play_that_waits_for_sound_ends_with_the_connection_on_which_it_came(
    connect: Open, autojump_clock: MockClock
) -> None:
    await connect(1).press(MODE, PLAY)
    await connect(2).open_events()
    audio = await connect(2).open_audio()
    await trio.sleep(5)
    assert audio.sink.flags == ""
    assert connect(2).state == State(1)


@pytest.mark.parametrize(("number", "why"), [(1, Superseded.REOPENED), (2, Superseded.MOVED)])
async def test_a_call_that_ends_says_why(
    connect: Open, autojump_clock: MockClock, number: int, why: str
) -> None:
    old = await connect(1).open_status()
    await connect(number).open_status()
    assert str(old.ended_by) == why


async def test_take_over_does_not_wait_for_an_old_stream_that_stalls(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    stalled = (await old.open_audio()).sink
    await old.press(PLAY)
    stalled.give(-math.inf)
    with trio.fail_after(0.001):
        audio = await new.open_audio()
        await new.press(PLAY)
    assert audio.sink.flags == "S" + "m" * 14
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
        outlets.append((await device.open_audio()).sink)
        await device.press(MODE, PLAY)
    await trio.sleep(6)
    assert device.state == State(0)
    assert [sink.flags.count("E") for sink in outlets] == [1] * 100
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
    with trio.CancelScope() as scope, devices.attach_audio("x", 1, FakeSink(), scope):
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
            with devices.attach_events("x", 2):
                pass
            raise KeyError


async def test_attaching_before_run_is_a_mistake(devices: Devices) -> None:
    with pytest.raises(RuntimeError, match="not running"), devices.attach_status("x", 1):
        pass


def test_rules_must_know_the_clips() -> None:
    with pytest.raises(ValueError, match="rules for 4 clips, but there are 5"):
        Devices(CLIPS, Rules(4), 0.3)
