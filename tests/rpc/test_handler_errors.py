"""The edge round one call: what a handler raises becomes a status, and stays in its call."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from serving import Served, packet, serving
from trio.testing import MockClock

from audio_server.wire.comms_pb2 import AudioPacket

Logs = list[MutableMapping[str, Any]]


async def assert_alive(served: Served, stream_id: int = 101) -> None:
    """The connection still answers."""
    await served.peer.open(stream_id, path="/nothing", end=True)
    assert await served.peer.status(stream_id) == Status.UNIMPLEMENTED.value


def errors(logs: Logs) -> list[str]:
    """The errors that were logged, taken out of the log."""
    found = [str(line["event"]) for line in logs if line["log_level"] == "error"]
    logs.clear()
    return found


async def test_an_unexpected_error_is_unknown_and_logged_once(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async def handler(call: Any) -> None:
        raise ZeroDivisionError("secret")

    async with serving(handler) as served:
        await served.peer.open(1)
        trailers = await served.peer.trailers(1)
        assert int(trailers["grpc-status"]) == Status.UNKNOWN.value
        assert "secret" not in trailers["grpc-message"]
        assert errors(logs) == ["handler failed"]
        await assert_alive(served)


async def test_an_error_after_messages_keeps_the_messages(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async def handler(call: Any) -> None:
        await call.send_message(AudioPacket(data=b"first"))
        raise ValueError

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == Status.UNKNOWN.value
        assert bytes(served.peer.data[1]).endswith(b"first")
    errors(logs)


async def test_a_status_raised_in_nested_nurseries_is_the_calls(
    autojump_clock: MockClock,
) -> None:
    async def fail() -> None:
        raise GRPCError(Status.NOT_FOUND, "deep")

    async def handler(call: Any) -> None:
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as inner:
                inner.start_soon(fail)
                inner.start_soon(trio.sleep_forever)
            outer.start_soon(trio.sleep_forever)

    async with serving(handler) as served:
        await served.peer.open(1)
        trailers = await served.peer.trailers(1)
        assert int(trailers["grpc-status"]) == Status.NOT_FOUND.value
        assert trailers["grpc-message"] == "deep"


async def test_of_several_statuses_one_arrives(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        raise ExceptionGroup(
            "", [GRPCError(Status.ABORTED, "a"), ExceptionGroup("", [GRPCError(Status.ABORTED)])]
        )

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == Status.ABORTED.value


async def test_an_error_beside_a_status_is_logged(autojump_clock: MockClock, logs: Logs) -> None:
    async def handler(call: Any) -> None:
        raise ExceptionGroup("", [GRPCError(Status.ABORTED), ValueError()])

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) in (Status.ABORTED.value, Status.UNKNOWN.value)
        assert errors(logs) == ["handler failed"]
        await assert_alive(served)


@pytest.mark.parametrize("error", [ValueError("late"), GRPCError(Status.ABORTED)])
async def test_failing_while_being_cancelled_harms_nobody(
    autojump_clock: MockClock, logs: Logs, error: Exception
) -> None:
    async def sleeper() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise error

    async def handler(call: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleeper)
            nursery.start_soon(trio.sleep_forever)

    async with serving(handler) as served:
        await served.peer.open(1)
        await served.peer.quiet()
        await served.peer.reset(1)
        await served.peer.quiet()
        assert not served.connection.streams
        await assert_alive(served)
    assert errors(logs) == (["handler failed"] if isinstance(error, ValueError) else [])


async def test_an_error_past_the_deadline_is_still_an_error(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async def handler(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError

    async with serving(handler) as served:
        await served.peer.open(1, ("grpc-timeout", "1S"))
        assert await served.peer.status(1) == Status.UNKNOWN.value
        assert errors(logs) == ["handler failed"]


async def test_a_cancel_of_the_handlers_own_is_not_the_calls(autojump_clock: MockClock) -> None:
    async def handler(call: Any) -> None:
        with trio.move_on_after(1):
            await call.recv_message()
        await call.send_message(AudioPacket(data=b"on"))

    async with serving(handler) as served:
        await served.peer.open(1)
        assert await served.peer.status(1) == 0


async def test_a_handler_that_ends_with_data_unread_gives_its_window_back(
    autojump_clock: MockClock,
) -> None:
    async def handler(call: Any) -> None:
        raise GRPCError(Status.ABORTED)

    async with serving(handler) as served:
        for stream_id in range(1, 41, 2):  # 20 x 30 KiB are more than the connection's window
            await served.peer.open(stream_id)
            for _ in range(3):
                await served.peer.message(stream_id, packet(10_000))
            assert await served.peer.status(stream_id) == Status.ABORTED.value
        await assert_alive(served)
