"""Announcements of an operator to devices of one process, and of several."""

from __future__ import annotations

from contextlib import ExitStack

import trio
from fleet_kit import press, standing
from trio.testing import MockClock
from worker_stand import Spread, spread

from audio_server.clips.clip import Clip
from audio_server.device.announcing import WAITING_MAX, Hearing
from audio_server.device.behaviour import Button, State
from audio_server.device.events import DeviceEvent
from audio_server.fleet import announcements
from audio_server.fleet.announcements import Order, Reports

NOTE = Clip.from_packets("note", [b"\xf8\xff\xfe"] * 40)
LONG = Clip.from_packets("long", [b"\xf8" + bytes(1200)] * 60)
"""Longer than one part of a blob."""


async def test_the_answer_tells_of_each_device(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with (
            at.connected("a") as link,
            at.connected("b", 2) as other,
            at.devices.attach_events("c", 3),
        ):
            await press(link, Button.PLAY)
            outcomes = await at.fleet.announce(["a", "b", "c", "nobody"], Order("1", NOTE))
            assert {key: outcome.result for key, outcome in outcomes.items()} == {
                "a": "done",
                "b": "done",
                "c": "failed",
                "nobody": "gone",
            }
            assert outcomes["c"].reason == "it has no audio stream open"
            assert {key: one.hearing for key, one in (await at.fleet.reports("1")).items()} == {
                "a": Hearing.PLAYING,
                "b": Hearing.PLAYING,
            }
            assert at.devices.by_id["a"].state == State(playing=0, announcing=True)
            await trio.sleep(0.1)
            await press(other, Button.STOP)
            await trio.sleep(2)
            assert await at.fleet.reports("1") == {
                "a": (Hearing.HEARD, None),
                "b": (Hearing.CUT, "Stop was pressed"),
            }
            assert at.devices.by_id["a"].state == State()


async def test_an_operators_press_of_stop_is_named(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected("a"):
            await at.fleet.announce(None, Order("1", NOTE))
            await at.fleet.press("a", Button.STOP)
            assert (await at.fleet.reports("1"))["a"].reason == "an operator pressed Stop"


async def test_rows_and_events_show_it(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected("a") as link:
            await press(link, Button.MODE, Button.PLAY)
            await at.fleet.announce(["a"], Order("1", NOTE))
            row = await at.fleet.row("a")
            assert row is not None
            assert (row["state"], row["mode"], row["leds"][1]) == ("announcing", 1, "#c040ffff")
            assert (row["playing"]["clip"], row["playing"]["mode"]) == ("note", None)
            await trio.sleep(4)
            events = await at.fleet.events("a")
            told = [one for one in events if one["kind"] == "announcement"]
            assert [one["hearing"] for one in told] == ["playing", "heard"]
            assert {one["announcement"] for one in told} == {"1"}
            assert told[-1]["text"] == "announcement note was heard to its end"


async def test_one_too_many_is_refused() -> None:
    async with standing() as at:
        with at.connected("a"):
            for number in range(WAITING_MAX + 1):
                await at.fleet.announce(["a"], Order(str(number), NOTE))
            outcomes = await at.fleet.announce(["a"], Order("more", NOTE))
            assert outcomes["a"] == ("failed", "too many announcements wait there")


async def test_none_begins_in_a_shutdown() -> None:
    async with standing() as at:
        with at.connected("a"):
            await at.devices.end_takes()
            outcomes = await at.fleet.announce(["a"], Order("1", NOTE))
            assert outcomes["a"] == ("failed", "the server is stopping")


async def test_the_newest_reports_are_kept() -> None:
    async with standing() as at:
        with at.connected("a"):
            for number in range(announcements.KEPT + 3):
                await at.fleet.announce(["a"], Order(str(number), NOTE))
                await at.fleet.stop(["a"])
            assert await at.fleet.reports("2") == {}
            assert (await at.fleet.reports("3"))["a"].hearing is Hearing.CUT


async def test_many_begin_in_slices() -> None:
    """Sound that is due meanwhile has its turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with standing() as at:
        with ExitStack() as stack:
            for number in range(200):
                stack.enter_context(at.connected(f"d{number}", number))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(count)
                await trio.lowlevel.checkpoint()
                before = turns
                await at.fleet.announce(None, Order("1", NOTE))
                nursery.cancel_scope.cancel()
    assert turns - before >= 15


async def test_the_sound_of_all_comes_before_any_event_of_it() -> None:
    """Listeners cost as much as a tenth of a start."""
    told: dict[str, list[DeviceEvent]] = {}
    playing: list[int] = []

    class Listener:
        def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
            told.setdefault(device_id, []).append(kind)
            devices = at.devices.by_id.values()
            playing.append(sum(one.source is NOTE for one in devices))

        def changed(self, device_id: str) -> None:
            return

    async with standing() as at:
        with ExitStack() as stack:
            for number in range(35):
                link = stack.enter_context(at.connected(f"d{number}", number))
                await press(link, Button.PLAY)
            at.devices.subscribe(Listener())
            await at.fleet.announce(None, Order("1", NOTE))
            assert playing[0] == 35
            ended, started, made = (
                DeviceEvent.TAKE_ENDED, DeviceEvent.TAKE_STARTED, DeviceEvent.ANNOUNCEMENT
            )  # fmt: skip
            assert {tuple(events[:3]) for events in told.values()} == {(ended, made, started)}
            assert len(told) == 35


async def test_an_event_of_a_device_comes_after_those_that_are_held() -> None:
    told: list[tuple[DeviceEvent, object]] = []

    class Listener:
        def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
            told.append((kind, details[0] if details else None))

        def changed(self, device_id: str) -> None:
            return

    announcement = announcements.Announcements().begin(Order("1", NOTE))
    async with standing() as at:
        with at.connected("a") as link:
            device = at.devices.by_id["a"]
            at.devices.subscribe(Listener())
            for _ in range(WAITING_MAX + 2):  # of which the last is refused, and tells nothing
                device.begin_announcement(announcement)
            assert told == []
            await press(link, Button.STOP)
            kinds = [kind for kind, _ in told]
            first = kinds.index(DeviceEvent.PRESS)
            assert kinds[:2] == [DeviceEvent.ANNOUNCEMENT, DeviceEvent.TAKE_STARTED]
            assert kinds[:first].count(DeviceEvent.ANNOUNCEMENT) == WAITING_MAX + 1
            before = len(told)
            device.show_announcement()
            assert [kind for kind, _ in told[before:]] == []


# -- workers: with the clock of the machine, since threads prepare the sound


async def ended(at: Spread) -> Reports:
    """The reports once all are final."""
    with trio.fail_after(30):
        while True:
            reports = await at.fleet.reports("1")
            if all(one.hearing.is_over for one in reports.values()):
                return reports
            await trio.sleep(0.05)


async def test_each_worker_fetches_the_sound() -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b"), at.connected(2, "c", 2):
            outcomes = await at.fleet.announce(["a", "b", "nobody"], Order("1", LONG, 3))
            assert {key: outcome.result for key, outcome in outcomes.items()} == {
                "a": "done",
                "b": "done",
                "nobody": "gone",
            }
            source = at.workers[2].devices.by_id["b"].source
            assert isinstance(source, Clip)
            assert (source.name, source.frames) == ("long", LONG.frames)
            assert at.workers[2].devices.by_id["c"].source is None
            assert await ended(at) == {"a": (Hearing.HEARD, None), "b": (Hearing.HEARD, None)}
            assert at.hub._offers == []


async def test_all_devices_of_all_workers() -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b"):
            assert (await at.fleet.announce(None, Order("1", NOTE))).keys() == {"a", "b"}
            await ended(at)
            events = await at.fleet.events(None)
            told = [one for one in events if one["kind"] == "announcement"]
            assert sorted((one["device"], one["hearing"]) for one in told) == [
                ("a", "heard"),
                ("a", "playing"),
                ("b", "heard"),
                ("b", "playing"),
            ]


async def test_a_worker_that_dies_reports_no_more() -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b"):
            await at.fleet.announce(None, Order("1", NOTE))
            at.kill(2)
            assert await ended(at) == {"a": (Hearing.HEARD, None)}


async def test_a_cancel_leaves_the_leds_of_those_that_have_begun_right() -> None:
    async with standing() as at:
        with ExitStack() as stack:
            for number in range(35):
                stack.enter_context(at.connected(f"d{number}", number))
            with trio.CancelScope() as scope:
                scope.cancel()
                await at.fleet.announce(None, Order("1", NOTE))
            begun = {key for key, one in (await at.fleet.reports("1")).items() if one}
            shown = {key for key, one in at.devices.by_id.items() if one.state.announcing}
            assert len(begun) == 10
            assert shown == begun
