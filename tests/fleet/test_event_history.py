"""What is kept of what happens, in which order, how much of it, and who hears of it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
import structlog.testing
import trio
from fleet_kit import CLIPS, PEER, Stand, press, standing
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.announcing import Hearing
from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.events import DeviceEvent
from audio_server.device.instrumentation import Outcome
from audio_server.device.registry import Devices
from audio_server.fleet.change_tracker import ChangeTracker
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.event_text import details_of, text_of
from audio_server.fleet.history import GONE_MAX, KEPT, KEPT_IN_ALL, KEPT_MIN, LATEST, History
from audio_server.fleet.own_rows import own_fleet
from audio_server.fleet.subscribers import BEHIND_MAX, FRESH_MAX, SUBSCRIBERS_MAX


async def texts(at: Stand, device_id: str | None = "a") -> list[str]:
    return [one["text"] for one in await at.fleet.events(device_id)]


async def test_the_life_of_a_device(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as link:
            await trio.sleep(2)
            await press(link, Button.MODE, Button.PLAY)
            await trio.sleep(3)
            await link.press(Button.PLAY, Action.HOLD)
            await press(link, Button.PLAY)
            await trio.sleep(0.5)
            await press(link, Button.STOP)
        events = await at.fleet.events("a")
    assert [(one["kind"], one["text"]) for one in events] == [
        ("connected", f"connected from {PEER}"),
        ("leds", "LEDs run the start-up sequence"),
        ("leds", "LEDs lit: power white, status blue"),
        ("press", "pressed Mode"),
        ("leds", "LEDs lit: power white, status blue, square amber"),
        ("press", "pressed Play"),
        ("leds", "LEDs lit: power white, status green, square amber"),
        ("take_started", "clip 1 starts"),
        ("take_ended", "clip 1 has ended after 2.0 s"),
        ("leds", "LEDs lit: power white, status blue, square amber"),
        ("press", "held Play"),
        ("press", "pressed Play"),
        ("leds", "LEDs lit: power white, status green, square amber"),
        ("take_started", "clip 1 starts"),
        ("press", "pressed Stop"),
        ("leds", "LEDs lit: power white, status blue"),
        ("take_ended", "clip 1 was cut after 0.5 s"),
        ("gone", "disconnected: all of its calls ended"),
    ]
    assert events == json.loads(json.dumps(events))
    assert {one["device"] for one in events} == {"a"}
    numbers = [one["seq"] for one in events]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 2**53
    assert events[-1]["at"] == pytest.approx(time.time(), abs=1.5)
    assert events[-1]["at"] - events[0]["at"] == pytest.approx(5.5, abs=0.1)


async def test_details_are_told_as_json_has_them(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as link:
            await press(link, Button.PLAY, Button.STOP)
        details = {one["kind"]: one for one in await at.fleet.events("a")}
    assert (details["connected"]["address"], details["connected"]["taken_over"]) == (PEER, False)
    assert (details["press"]["button"], details["press"]["action"]) == ("stop", "press")
    assert details["take_started"]["clip"] == "clip 0"
    ended = details["take_ended"]
    assert (ended["outcome"], ended["played_s"], ended["reason"]) == ("cut", 0.0, None)
    assert details["leds"]["leds"][1] == "#0060ffff"


@pytest.mark.parametrize(
    ("kind", "details", "text"),
    [
        (DeviceEvent.TAKE_STARTED, ("03-bell",), "bell starts"),
        (DeviceEvent.TAKE_ENDED, ("03-bell", Outcome.CUT, 1.0, None), "bell was cut after 1.0 s"),
        (DeviceEvent.ACTION, ("play", "03-bell"), "an operator played bell"),
        (
            DeviceEvent.ANNOUNCEMENT,
            ("a1", "03-bell", Hearing.HEARD, None),
            "announcement bell was heard to its end",
        ),
        (
            DeviceEvent.ANNOUNCEMENT,
            ("a1", "03-bell", Hearing.CUT, "Stop was pressed"),
            "announcement bell was cut: Stop was pressed",
        ),
    ],
)
def test_people_are_told_the_title_of_a_clip(kind: DeviceEvent, details: Any, text: str) -> None:
    """As everywhere else; programs are told its name."""
    assert text_of(kind, details) == text
    assert "03-bell" in details_of(kind, details).values()


async def test_what_an_operator_does_is_told() -> None:
    async with standing() as at:
        with at.connected():
            await at.fleet.press("a", Button.MODE)
            await at.fleet.play(["a"], 3)
            await at.fleet.stop(None)
            await at.fleet.rename("a", "Küche")
            await at.fleet.rename("a", None)
            told = await texts(at)
    assert [text for text in told if "operator" in text] == [
        "an operator pressed Mode",
        "an operator played clip 3",
        "an operator stopped it",
    ]
    assert "renamed to Küche" in told
    assert "name removed" in told


async def test_a_take_that_fails_says_why(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1, None, PEER) as link:
            await press(link, Button.PLAY)
            await trio.sleep(2)
            told = await texts(at)
    assert "clip 0 could not be played: no audio stream came within 1 s" in told


async def test_what_a_device_answers_wrongly_is_told() -> None:
    async with standing() as at:
        with at.devices.attach_status("a", 1) as link:
            link.report(link.known.corrected())
            link.report(link.known.erred("no answer within 5 s"))
            link.report(link.known.answered(0.1, None, None))
            row = await at.fleet.row("a")
            assert row is not None
            assert (row["corrections"], row["errors"]) == (1, 1)
        assert (await texts(at))[2:-1] == [
            "showed other LEDs than it was sent, and is sent them again",
            "no answer within 5 s",
        ]


async def test_a_take_over_is_told(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with suppress(Superseded), at.connected() as old:
            await press(old, Button.PLAY)
            with at.connected(number=2):
                await wait_all_tasks_blocked()
        told = await texts(at)
    assert "clip 0 was lost after 0.0 s" in told
    assert f"reconnected from {PEER}" in told
    assert told[-1] == "disconnected: all of its calls ended"


async def test_a_device_that_moved_to_another_process_is_gone() -> None:
    async with standing() as at:
        with suppress(Superseded), at.connected() as link:
            await press(link, Button.PLAY)
            at.devices.release("a")
            await trio.sleep_forever()
        told = await texts(at)
    assert told[-2:] == ["clip 0 was lost after 0.0 s", f"disconnected: {Superseded.ELSEWHERE}"]


async def test_a_device_that_is_gone_is_remembered(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as link:
            await press(link, Button.MODE, Button.PLAY)
        row = await at.fleet.row("a")
        assert row is not None
        assert (row["connected"], row["address"], row["streams"]) == (False, PEER, [])
        assert (row["mode"], row["state"], row["playing"]) == (1, "idle", None)
        assert await at.fleet.rows() == []
        with at.connected(number=2):
            row = await at.fleet.row("a")
            assert row is not None
            assert row["connected"]
            told = await texts(at)
    (gone,) = [one for one in told if one.startswith("disconnected")]
    assert told.index(gone) < told.index(f"connected from {PEER}", 1)


# -- how much


def kept_by(history: History, device_id: str) -> int:
    return len(history._entries[device_id])


@pytest.fixture
async def history(nursery: trio.Nursery) -> History:
    history = History(ChangeTracker(Devices((), Rules(clips=0), 0.3)))
    nursery.start_soon(history.subscribers.run)
    return history


def fill(history: History, device_id: str, count: int) -> None:
    history.happened(device_id, DeviceEvent.CONNECTED, PEER, False)
    for _ in range(count):
        history.happened(device_id, DeviceEvent.PRESS, Button.MODE, Action.PRESS)


async def test_a_device_has_so_many_and_the_oldest_go(history: History) -> None:
    fill(history, "a", KEPT - 1)
    assert (await history.of("a"))[0]["kind"] == "connected"
    fill(history, "a", 10)
    told = await history.of("a")
    assert (len(told), told[0]["kind"]) == (KEPT, "press")


async def test_of_very_many_each_has_fewer(history: History) -> None:
    many = KEPT_IN_ALL // KEPT_MIN
    for number in range(many + 10):
        history.happened(str(number), DeviceEvent.CONNECTED, PEER, False)
    fill(history, "a", KEPT)
    assert kept_by(history, "a") == KEPT_MIN


async def test_where_others_are_forgotten_each_has_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_server.fleet.history.GONE_MAX", 0)
    monkeypatch.setattr("audio_server.fleet.history.KEPT_IN_ALL", 100)
    async with standing() as at:
        with at.devices.attach_events("a", 1):
            with at.devices.attach_events("b", 2):
                pass
            for _ in range(90):
                at.here.history.happened("a", DeviceEvent.PRESS, Button.MODE, Action.PRESS)
            assert kept_by(at.here.history, "a") > 90


async def test_of_all_together_the_latest_are_told(history: History) -> None:
    for number in range(LATEST + 5):
        history.happened(str(number), DeviceEvent.CONNECTED, PEER, False)
    told = await history.of(None)
    assert len(told) == LATEST
    assert (told[0]["device"], told[-1]["device"]) == ("5", str(LATEST + 4))


async def test_of_those_that_are_gone_only_so_many_are_remembered() -> None:
    async with standing() as at:
        for number in range(GONE_MAX + 2):
            with at.devices.attach_events(str(number), number + 1):
                pass
        assert await at.fleet.events("0") == await at.fleet.events("1") == []
        assert at.here.history.gone("1") is None
        assert len(await at.fleet.events("2")) == 2
        assert len(at.here.history._entries) == GONE_MAX


async def test_what_never_connected_is_not_kept(history: History) -> None:
    history.happened("a", DeviceEvent.RENAMED, "x")
    assert await history.of("a") == await history.of(None) == []


async def test_without_records_nothing_is_observed() -> None:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
    own_fleet(DevicesHere(devices, records=False))
    assert not any(isinstance(one, History) for one in devices._context.listeners)


async def test_an_observer_that_fails_is_left_out_and_devices_go_on() -> None:
    class Failing:
        def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
            raise RuntimeError("no")

        def changed(self, device_id: str) -> None:
            pass

    async with standing() as at:
        at.devices.subscribe(Failing())
        with structlog.testing.capture_logs() as logs, at.connected() as link:
            await press(link, Button.MODE)
            assert at.devices.by_id["a"].state.mode == 1
    assert [line["event"] for line in logs] == ["listener failed"]


# -- who follows


async def test_what_happens_is_told_to_those_who_follow() -> None:
    async with standing() as at:
        with at.fleet.following("a") as one, at.fleet.following(None) as all_of_them:
            with at.connected("b", 1), at.connected("a", 2):
                pass
            await wait_all_tasks_blocked()
            assert drained(one) == await at.fleet.events("a")
            assert drained(all_of_them) == await at.fleet.events(None)


def drained(channel: trio.MemoryReceiveChannel[Any]) -> list[Any]:
    waiting = channel.statistics().current_buffer_used
    return [channel.receive_nowait() for _ in range(waiting)]


async def test_who_does_not_take_what_happens_is_let_go(history: History) -> None:
    with history.subscribers.following("a") as slow:
        fill(history, "a", BEHIND_MAX + 10)
        await wait_all_tasks_blocked()
        assert len([one async for one in slow]) == BEHIND_MAX  # it ends


async def test_when_far_too_much_happens_all_are_let_go(history: History) -> None:
    with history.subscribers.following("b") as one:
        fill(history, "a", FRESH_MAX + 10)
        assert [one async for one in one] == []


async def test_so_many_follow_and_no_more() -> None:
    async with standing() as at:
        following = [at.fleet.following(None) for _ in range(SUBSCRIBERS_MAX)]
        for one in following:
            assert not at.fleet.is_full
            one.__enter__()
        assert at.fleet.is_full
        for one in following:
            one.__exit__(None, None, None)
        assert not at.fleet.is_full
