"""Numbers of connections and calls: in the order of arrival, at whatever worker, whenever read."""

from __future__ import annotations

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from audio_server.cluster.arrivals import SLACK_MS, silent_ms
from audio_server.workers.connection_ids import ConnectionIds


class Clock:
    now_ns = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


def test_later_is_larger_at_any_worker_and_no_two_are_the_same() -> None:
    clock = Clock()
    workers = [ConnectionIds(worker, 3, clock_ns=clock) for worker in (1, 2, 3)]
    stream, _ = memory_stream_pair()
    seen: list[int] = []
    for _ in range(3):
        at_once = [number(stream) for number in workers]
        assert min(at_once) > max(seen, default=0)
        seen += at_once
        clock.now_ns += 1
    assert len(set(seen)) == 9


def test_a_worker_counts_up_though_the_clock_stands_still() -> None:
    number = ConnectionIds(1, 2, clock_ns=Clock())
    stream, _ = memory_stream_pair()
    numbers = [number(stream) for _ in range(100)]
    assert numbers == sorted(set(numbers))


async def test_a_connection_that_waited_is_as_old_as_it_is() -> None:
    """A busy worker accepts late, and meanwhile the device has connected to another one."""
    busy, idle = ConnectionIds(1, 2), ConnectionIds(2, 2)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener, await trio.open_tcp_stream("127.0.0.1", port) as old:
        await old.send_all(b"a request, and then silence")
        await trio.sleep(0.06 + SLACK_MS / 1000)
        async with (
            await trio.open_tcp_stream("127.0.0.1", port),
            await listener.accept() as old_accepted,
            await listener.accept() as new_accepted,
        ):
            newer = idle(new_accepted)
            assert silent_ms(old_accepted) > 2 * SLACK_MS > silent_ms(new_accepted)
            assert busy(old_accepted) < newer


async def test_a_call_that_lay_unread_is_as_old_as_it_is() -> None:
    """A busy worker reads late, on a connection that it has long had."""
    busy, idle = ConnectionIds(1, 2), ConnectionIds(2, 2)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with (
        listener,
        await trio.open_tcp_stream("127.0.0.1", port) as device,
        await listener.accept() as accepted,
    ):
        connected = busy(accepted)
        await trio.sleep(0.02)
        await device.send_all(b"a call")
        await trio.sleep(0.06 + SLACK_MS / 1000)
        unread = busy.of_call(accepted)
        async with (
            await trio.open_tcp_stream("127.0.0.1", port),
            await listener.accept() as elsewhere,
        ):
            newer = idle.of_call(elsewhere)
        await device.send_all(b"another call, on the older connection")
        await wait_all_tasks_blocked(0.01)
        assert connected < unread < newer < busy.of_call(accepted)
