"""The age of calls that a busy node reads late."""

from __future__ import annotations

import time

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from audio_server.cluster.arrivals import SLACK_MS, silent_ms, waited_s


async def test_a_connection_that_waited_is_as_old_as_it_is() -> None:
    """A busy worker accepts late, and meanwhile the device has connected to another one."""
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
            assert silent_ms(old_accepted) > 2 * SLACK_MS > silent_ms(new_accepted)
            assert waited_s(old_accepted) > SLACK_MS / 1000 >= waited_s(new_accepted)


async def test_a_call_that_lay_unread_is_as_old_as_it_is() -> None:
    """A busy worker reads late, on a connection that it has long had."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with (
        listener,
        await trio.open_tcp_stream("127.0.0.1", port) as device,
        await listener.accept() as accepted,
    ):
        await trio.sleep(0.02)
        await device.send_all(b"a call")
        sent_at = time.monotonic()
        await trio.sleep(0.06 + SLACK_MS / 1000)
        age_s = waited_s(accepted)
        assert 0.04 < age_s <= time.monotonic() - sent_at
        await device.send_all(b"another call, on the older connection")
        await wait_all_tasks_blocked(0.01)
        assert waited_s(accepted) < age_s


def test_what_is_no_socket_has_not_waited() -> None:
    stream, _ = memory_stream_pair()
    assert waited_s(stream) == 0
