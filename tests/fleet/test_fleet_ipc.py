"""Questions to a worker about its devices: whole answers or none, and nothing is done too late."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from fleet_kit import press
from trio.testing import MockClock, wait_all_tasks_blocked
from worker_stand import LineStand, line_stand

from audio_server.cluster.interface import NoAnswer, TooLate
from audio_server.device.behaviour import Button
from audio_server.fleet.change_tracker import BATCH


async def test_answers_find_their_questions(autojump_clock: MockClock) -> None:
    async with line_stand() as at, trio.open_nursery() as nursery:
        with at.connected("a"), at.connected("b", 2):
            for device_id in "ab" * 20:
                nursery.start_soon(asks_for, at, device_id)
            await wait_all_tasks_blocked()


async def asks_for(at: LineStand, device_id: str) -> None:
    (((told, _, facts),),) = await at.ask("rows", 1.0, device_ids=[device_id])
    assert (told, facts["worker"], facts["connected"]) == (device_id, 3, True)


async def test_what_is_read_too_late_is_not_done(autojump_clock: MockClock) -> None:
    """A worker that hung for a minute does not press then what an operator was told had failed."""
    async with line_stand(hung=True) as at:
        with at.connected() as link:
            with pytest.raises(TooLate):
                await at.ask("press_each", 3.0, device_ids=["a"], button="MODE")
            await trio.sleep(60)
            at.go_on.set()
            await wait_all_tasks_blocked()
            assert at.devices.by_id["a"].state.mode == 0
            await press(link, Button.MODE)
            assert await at.ask("ping", 1.0) == [None]


async def test_a_press_of_no_device_is_none(autojump_clock: MockClock) -> None:
    async with line_stand() as at:
        with at.connected("a"):
            assert await at.ask("press_each", 1.0, device_ids=[], button="MODE") == []
            assert at.devices.by_id["a"].state.mode == 0


async def test_an_answer_that_fails_is_logged_and_others_come(logs: Any) -> None:
    async with line_stand() as at:
        with pytest.raises(NoAnswer):
            await at.ask("nonsense", 1.0)
        with pytest.raises(NoAnswer):
            await at.ask("press_each", 1.0, device_ids=["a"], button="BELL")
        assert await at.ask("ping", 1.0) == [None]
    assert [line["event"] for line in logs] == ["answer failed"]  # the other one was refused


async def test_two_looks_at_a_time_tell_all_to_the_last_that_asked(
    autojump_clock: MockClock,
) -> None:
    """The first has been given up by whoever asked; it must not take rows from the second."""
    async with line_stand() as at, trio.open_nursery() as nursery:
        attachments = [
            at.devices.attach_events(str(number), number + 1) for number in range(3 * BATCH)
        ]
        for link in attachments:
            link.__enter__()
        told: list[Any] = []

        async def look(*, anew: bool) -> None:
            told.append(await at.ask("changes", 5.0, anew=anew))

        nursery.start_soon(lambda: look(anew=True))
        nursery.start_soon(lambda: look(anew=True))
        await wait_all_tasks_blocked()
        counts = [sum(len(rows) for rows, gone in parts) for parts in told]
        assert counts == [3 * BATCH, 3 * BATCH]
        await look(anew=False)
        assert told[2] == []
        for link in reversed(attachments):
            link.__exit__(None, None, None)
        await look(anew=False)
        assert sum(len(gone) for _, gone in told[3]) == 3 * BATCH
