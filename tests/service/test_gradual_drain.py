"""Devices that are asked to go one after the other: in a drain, and when they have stayed long."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import pairwise

import pytest
import trio
from grpclib.const import Status
from panel import Panel
from service_home import FIVE
from test_serve import GRACE_S, Serving, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button
from audio_server.rpc.gradual_drain import age_factor
from audio_server.rpc.limits import Limits

LONG, LONG_S = 3, 10.0
"""A mode whose clip lasts so long."""

DRAIN_S = 21.0


class Crowd:
    """Devices that are on, and when each lost its calls."""

    def __init__(self) -> None:
        self.panels: dict[str, Panel] = {}
        self.left_s: dict[str, float] = {}

    async def arrive(self, server: Serving, stack: AsyncExitStack, *names: str) -> None:
        for name in names:
            self.panels[name] = await stack.enter_async_context(server.device(name))

    async def watch(self) -> None:
        """Note the end of each."""
        while len(self.left_s) < len(self.panels):
            for name, panel in self.panels.items():
                if len(panel.ended) == 2:  # the events are read with a press only
                    self.left_s.setdefault(name, trio.current_time())
            await trio.sleep(0.05)

    async def play(self, name: str, mode: int = LONG) -> None:
        await self.panels[name].press(*[Button.MODE] * mode, Button.PLAY)


NAMES = [f"idle-{number}" for number in range(20)]


async def test_idle_devices_go_one_by_one_in_random_order(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(DRAIN_S) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, *NAMES)
        start = trio.current_time()
        server.stop.set()
        await crowd.watch()
        await trio.sleep(0.2)
    times = [left_s - start for left_s in crowd.left_s.values()]
    # Twenty within 20 s, and each a second after it was asked.
    assert times[0] == pytest.approx(2, abs=0.3)
    assert times[-1] == pytest.approx(DRAIN_S, abs=1.0)
    assert all(0.5 < after - before < 1.6 for before, after in pairwise(times))
    assert list(crowd.left_s) != NAMES
    assert {*crowd.panels["idle-0"].ended.values()} == {Status.UNAVAILABLE}
    assert server.stopped_s is not None
    assert server.stopped_s - start < DRAIN_S + 0.5


async def test_all_at_once_without_a_time_for_it(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving() as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, *NAMES)
        start = trio.current_time()
        server.stop.set()
        await crowd.watch()
        assert {round(left_s - start) for left_s in crowd.left_s.values()} == {1}


async def test_a_take_ends_before_its_device_goes(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(DRAIN_S) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, "idle", *NAMES[:3])
        for name in NAMES[:3]:
            await crowd.play(name)
        start = trio.current_time()
        server.stop.set()
        await crowd.watch()
        assert crowd.left_s["idle"] - start < LONG_S
        for name in NAMES[:3]:
            assert crowd.panels[name].heard[-1] == f"{LONG}:499."
            assert LONG_S < crowd.left_s[name] - start <= DRAIN_S


async def test_a_take_that_is_longer_is_cut_at_the_end(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(5.0) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, "plays", "idle")
        await crowd.play("plays")
        start = trio.current_time()
        server.stop.set()
        await crowd.watch()
        assert crowd.panels["plays"].heard[-1] == "cut."
        assert crowd.left_s["idle"] - start < 5.0
        assert crowd.left_s["plays"] - start == pytest.approx(5.0 + 1.0, abs=0.1)


async def test_play_after_the_first_goaway_is_heard_to_its_end(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(3.0) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, "one")
        server.stop.set()
        await trio.sleep(2.1)
        assert crowd.panels["one"].ended == {}
        await crowd.play("one", mode=0)
        await trio.sleep(1.5)
        assert crowd.panels["one"].heard[-1] == "0:49."


class Announced:
    """An announcement, as devices want it."""

    id = "all"
    source = FIVE[LONG]
    priority = 0

    def report(self, device_id: str, hearing: Hearing, reason: str | None) -> None:
        """Nothing."""


async def test_an_announcement_is_heard_to_its_end(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(DRAIN_S) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, *NAMES[:4])
        await trio.sleep(2.0)
        server.stop.set()
        for device in server.devices.by_id.values():
            assert device.announce(Announced())
        await crowd.watch()
        for panel in crowd.panels.values():
            assert panel.heard[-1] == f"{LONG}:499."


async def test_a_drain_of_no_devices_is_at_once(autojump_clock: MockClock) -> None:
    async with serving(DRAIN_S) as server:
        server.stop.set()
        await wait_all_tasks_blocked()
        assert server.stopped_s == 0.0


async def test_no_device_comes_while_others_go(autojump_clock: MockClock) -> None:
    async with serving(DRAIN_S) as server, server.device("one"):
        server.stop.set()
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BrokenResourceError):
            server.listener.connect()


MAX_AGE_S = 1000.0


async def test_idle_connections_go_at_their_age(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    async with serving(limits=Limits(max_age_s=MAX_AGE_S)) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, *NAMES)
        await crowd.watch()
        times = sorted(crowd.left_s.values())
        assert 0.8 * MAX_AGE_S <= times[0] < 0.85 * MAX_AGE_S
        assert 1.15 * MAX_AGE_S < times[-1] < 1.2 * MAX_AGE_S + 25
        assert len({round(left_s / 12) for left_s in times}) > 15
        assert {*crowd.panels["idle-0"].ended.values()} == {Status.UNAVAILABLE}
        assert server.stopped_s is None


async def test_one_that_plays_stays_until_it_does_not(autojump_clock: MockClock) -> None:
    crowd = Crowd()
    limits = Limits(max_age_s=5.0)
    async with serving(limits=limits) as server, AsyncExitStack() as stack:
        await crowd.arrive(server, stack, "plays", "idle")
        await crowd.play("plays")
        await crowd.watch()
        assert crowd.left_s["idle"] < 5.0 * 1.2 + 1.5
        assert LONG_S < crowd.left_s["plays"] < LONG_S + 2
        assert crowd.panels["plays"].heard[-1] == f"{LONG}:499."


async def test_connections_grow_old_by_default(autojump_clock: MockClock) -> None:
    async with serving() as server, server.device("one") as panel:
        await trio.sleep(7 * 3600)
        assert panel.ended == {}


def test_ages_are_spread_evenly() -> None:
    factors = sorted(age_factor(number) for number in range(1000))
    assert factors[0] == pytest.approx(0.8, abs=0.001)
    assert factors[-1] == pytest.approx(1.2, abs=0.001)
    assert max(after - before for before, after in pairwise(factors)) < 0.002


def test_the_grace_comes_after_the_drain() -> None:
    """What `test_a_take_that_is_longer…` leans on."""
    assert GRACE_S > 1.0
