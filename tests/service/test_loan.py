"""A device that is lent: its calls go to the borrower and come back, and it notices nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
import trio
from grpclib.const import Status
from panel import SUCCESS, Panel, event_of, status_of
from service_home import CALLS, Home, frame, open_home
from trio.testing import MockClock

from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Button
from audio_server.device.loan import Loan
from audio_server.device.takeover import CallKind

ALL = set(CallKind)


class Keeper:
    """Keeps calls until they are given back; `owed` has what each was said to owe."""

    def __init__(self) -> None:
        self.calls: dict[CallKind, Any] = {}
        self.owed: dict[CallKind, int] = {}
        self.reasons: list[str] = []
        self._scopes: dict[CallKind, trio.CancelScope] = {}

    async def use(self, call: Any, kind: CallKind, owed: int) -> None:
        self.calls[kind], self.owed[kind] = call, owed
        try:
            with trio.CancelScope() as self._scopes[kind]:
                await trio.sleep_forever()
        finally:
            if self.calls[kind] is call:
                del self.calls[kind]

    def stop(self) -> None: ...

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)

    async def give_back(self, loan: Loan) -> None:
        loan.is_over = True
        for scope in self._scopes.values():
            scope.cancel()
        while self.calls:
            await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def lent(home: Home) -> AsyncIterator[tuple[Keeper, Loan]]:
    keeper = Keeper()
    await trio.testing.wait_all_tasks_blocked()
    with home.devices.lending("one", keeper) as loan:
        await trio.testing.wait_all_tasks_blocked()
        yield keeper, loan
        await keeper.give_back(loan)


class Told:
    """The events of devices, by name."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def happened(self, device_id: str, kind: Any, *details: object) -> None:
        self.events.append(kind.value)

    def changed(self, device_id: str) -> None: ...


@contextmanager
def telling(home: Home) -> Iterator[list[str]]:
    told = Told()
    home.devices.subscribe(told)
    yield told.events


async def test_all_calls_move_and_come_back(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.MODE)
        await trio.sleep(2.0)
        device, sent = home.devices.by_id["one"], len(panel.frames)
        with telling(home) as told:
            async with lent(home) as (keeper, _):
                assert set(keeper.calls) == ALL
                assert set(keeper.owed.values()) == {0}
                assert set(device.attachments) == ALL
                await trio.sleep(100.0)
            assert set(device.attachments) == ALL
            assert told == []
        assert (panel.ended, home.devices.by_id["one"]) == ({}, device)
        await trio.sleep(0.1)
        assert [shown for _, shown in panel.frames[sent:]] == [frame(1)]
        await panel.press(Button.PLAY)
        await trio.sleep(1.0)
        assert panel.heard[0] == "1:0"


async def test_the_borrower_hears_of_answers_that_are_due(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device(answer=None):
        await trio.sleep(0.5)
        async with lent(home) as (keeper, _):
            assert keeper.owed[CallKind.STATUS] == 1


async def test_a_call_that_comes_meanwhile_is_lent_and_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home, home.device() as old, home.connect() as stub:
        await trio.sleep(2.0)
        async with lent(home) as (keeper, loan), trio.open_nursery() as nursery:
            new = Panel(SUCCESS)
            for name in CALLS:
                await new.attend(name, stub, "one", nursery)
            await trio.testing.wait_all_tasks_blocked()
            assert set(keeper.calls) == ALL
            assert await status_of(old.calls["EventStream"]) is Status.ABORTED
            await trio.sleep(5.0)
            assert new.frames == []
            await keeper.give_back(loan)
            await trio.sleep(2.0)
            assert (new.shown, new.ended) == (frame(0), {})
            nursery.cancel_scope.cancel()


async def test_a_device_that_leaves_meanwhile_is_gone_at_the_end(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home:
        settled: list[str] = []
        home.devices.settle = settled.append
        with telling(home) as told:
            async with AsyncExitStack() as stack:
                async with home.device():
                    keeper, _ = await stack.enter_async_context(lent(home))
                await trio.testing.wait_all_tasks_blocked()
                assert "one" in home.devices.by_id
                assert (keeper.calls, "gone" in told) == ({}, False)
            assert "one" not in home.devices.by_id
            assert (told[-1], settled) == ("gone", ["one"])


async def test_the_borrower_hears_that_the_device_is_elsewhere(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        async with lent(home) as (keeper, _):
            home.devices.release("one")
            await trio.testing.wait_all_tasks_blocked()
            assert (keeper.reasons, keeper.calls) == ([Superseded.ELSEWHERE], {})
        assert await status_of(panel.calls["EventStream"]) is Status.ABORTED


async def test_a_call_that_a_newer_one_has_ended_does_not_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_home() as home, home.device() as old:
        await trio.sleep(2.0)
        keeper = Keeper()
        with home.devices.lending("one", keeper) as loan:
            # In the midst of the step in which its calls are interrupted, newer ones end them.
            with home.devices.attach_lent(CallKind.STATUS, "one", 99):
                await trio.testing.wait_all_tasks_blocked()
                assert keeper.calls == {}
                assert await status_of(old.calls["EventStream"]) is Status.ABORTED
            loan.is_over = True


async def test_a_press_that_waits_is_acknowledged_first(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        events = panel.calls["EventStream"]
        for _ in range(52):  # of which the last ones wait for their turn
            await events.send_message(event_of(Button.MODE))
        await trio.testing.wait_all_tasks_blocked()
        async with lent(home) as (keeper, _):
            assert CallKind.EVENTS not in keeper.calls
            await trio.sleep(1.0)
            assert CallKind.EVENTS in keeper.calls
        for _ in range(52):
            assert (await events.recv_message()).ack


async def test_only_a_device_that_is_connected_is_lent() -> None:
    async with open_home() as home:
        with pytest.raises(KeyError), home.devices.lending("one", Keeper()):
            pass
