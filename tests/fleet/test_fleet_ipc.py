"""Questions between two processes: whole answers or none, and nothing that waits for ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from fleet_kit import press
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked
from worker_stand import LineStand, line_stand

from audio_server.device.behaviour import Button
from audio_server.fleet.change_tracker import BATCH
from audio_server.fleet.ipc_client import ASKED_MAX, WAITING_MAX_BYTES, IpcClient, NoAnswer, TooLate


@asynccontextmanager
async def unheard() -> AsyncIterator[tuple[IpcClient, Any]]:
    """A line at whose other end nobody answers; gives that end too."""
    near, far = memory_stream_pair()
    line = IpcClient(near, clock=trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.run)
        yield line, far
        nursery.cancel_scope.cancel()


async def test_answers_find_their_questions(autojump_clock: MockClock) -> None:
    async with line_stand() as at, trio.open_nursery() as nursery:
        with at.connected("a"), at.connected("b", 2):
            for device_id in "ab" * 20:
                nursery.start_soon(asks_for, at, device_id)
            await wait_all_tasks_blocked()


async def asks_for(at: LineStand, device_id: str) -> None:
    (((told, _, facts),),) = await at.line.ask("row", 1.0, device_id=device_id)
    assert (told, facts["worker"], facts["connected"]) == (device_id, 3, True)


async def test_no_answer_in_time_is_too_late(autojump_clock: MockClock) -> None:
    async with unheard() as (line, _):
        began_at = trio.current_time()
        with pytest.raises(TooLate):
            await line.ask("ping", 2.0)
        assert trio.current_time() - began_at == 2.0


async def test_an_answer_that_comes_bit_by_bit_is_waited_for(autojump_clock: MockClock) -> None:
    async with unheard() as (line, far), trio.open_nursery() as nursery:
        nursery.start_soon(says_slowly, far)
        assert await line.ask("rows", 2.0) == [0, 1, 2, 3]
        assert trio.current_time() == 6.0


async def says_slowly(far: Any) -> None:
    for number in range(4):
        await trio.sleep(1.5)
        await far.send_all(json.dumps([1, "part", number]).encode() + b"\n")
    await far.send_all(b'[1, "done", null]\n')


async def test_what_comes_too_late_is_for_nobody(autojump_clock: MockClock) -> None:
    async with unheard() as (line, far):
        with pytest.raises(TooLate):
            await line.ask("ping", 1.0)
        await far.send_all(b'[1, "part", "old"]\n[1, "done", null]\n')
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.send_all, b'[2, "part", "new"]\n[2, "done", null]\n')
            assert await line.ask("ping", 1.0) == ["new"]


async def test_what_is_read_too_late_is_not_done(autojump_clock: MockClock) -> None:
    """A worker that hung for a minute does not press then what an operator was told had failed."""
    async with line_stand(hung=True) as at:
        with at.connected() as link:
            with pytest.raises(TooLate):
                await at.line.ask("press", 3.0, device_id="a", button="MODE")
            await trio.sleep(60)
            at.go_on.set()
            await wait_all_tasks_blocked()
            assert at.devices.by_id["a"].state.mode == 0
            await press(link, Button.MODE)
            assert await at.line.ask("ping", 1.0) == [None]


async def test_who_asks_hears_at_once_that_the_process_is_gone() -> None:
    async with unheard() as (line, far), trio.open_nursery() as nursery:
        nursery.start_soon(gets_none, line)
        await wait_all_tasks_blocked()
        await far.aclose()
        await wait_all_tasks_blocked()
        with pytest.raises(NoAnswer):
            await line.ask("ping", 1.0)


async def gets_none(line: IpcClient) -> None:
    with pytest.raises(NoAnswer) as raised:
        await line.ask("ping", 1.0)
    assert raised.type is NoAnswer


async def test_there_is_a_bound_to_what_waits(autojump_clock: MockClock) -> None:
    async with unheard() as (line, _), trio.open_nursery() as nursery:
        for _ in range(ASKED_MAX):
            nursery.start_soon(too_late, line)
        await wait_all_tasks_blocked()
        with pytest.raises(NoAnswer):
            await line.ask("ping", 1.0)


async def test_there_is_a_bound_to_how_much_waits(autojump_clock: MockClock) -> None:
    line = IpcClient(memory_stream_pair()[0], clock=trio.current_time)  # nothing is carried
    with pytest.raises(TooLate):
        await line.ask("play", 1.0, device_ids=["x" * WAITING_MAX_BYTES])
    with pytest.raises(NoAnswer) as raised:
        await line.ask("ping", 1.0)
    assert raised.type is NoAnswer


async def too_late(line: IpcClient) -> None:
    with pytest.raises(TooLate):
        await line.ask("ping", 1.0)


async def test_an_answer_that_fails_is_logged_and_others_come(logs: Any) -> None:
    async with line_stand() as at:
        with pytest.raises(NoAnswer):
            await at.line.ask("nonsense", 1.0)
        with pytest.raises(NoAnswer):
            await at.line.ask("press", 1.0, device_id="a", button="BELL")
        assert await at.line.ask("ping", 1.0) == [None]
    assert [line["event"] for line in logs] == ["answer failed", "answer failed"]


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
            told.append(await at.line.ask("changes", 5.0, anew=anew))

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
