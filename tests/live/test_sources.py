"""Channels with a source of their own: its process is heard, and started again whenever it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import trio
from memory_engine import NEWS, MemoryEngine, MemoryLink
from structlog.testing import capture_logs
from trio_util import AsyncValue

from audio_server.clips.folder import default_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.ogg_opus import read_opus
from audio_server.cluster.engine_feeds import EngineFeeds
from audio_server.device.live_channel import LiveChannel
from audio_server.live import sources
from audio_server.live.shared import SharedChannel
from audio_server.live.sources import Source, reading

WITHIN_S = 60
TONE = default_clips() / "1-square.opus"
PACKETS = [b"\xf8" + number.to_bytes(4, "big") for number in range(40)]
SAYS = "import sys, time; url = sys.stdin.buffer.readline().decode().strip(); "
GIVE = "sys.stdout.buffer.write(open({file!r}, 'rb').read()); sys.stdout.buffer.flush(); "


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FIRST_PAUSE_S", 0.05)


@pytest.fixture
def sound(tmp_path: Path) -> str:
    file = tmp_path / "sound.opus"
    file.write_bytes(opus_bytes(PACKETS))
    return str(file)


@asynccontextmanager
async def source(channel: LiveChannel, code: str) -> AsyncIterator[list[dict[str, object]]]:
    """A source whose process runs `code`, for the block; gives what is logged."""
    with capture_logs() as logs, trio.fail_after(WITHIN_S):
        async with trio.open_nursery() as nursery:
            one = Source(channel, "http://here/", [sys.executable, "-c", SAYS + code])
            nursery.start_soon(one.run)
            yield logs  # type: ignore[misc]
            nursery.cancel_scope.cancel()


async def until(true: object) -> None:
    while not true():  # type: ignore[operator]  # noqa: ASYNC110
        await trio.sleep(0.02)


def reasons(logs: Sequence[dict[str, object]]) -> list[object]:
    return [line["reason"] for line in logs if line["event"] == "source ended"]


async def test_each_process_is_heard_and_the_next_one_goes_on(sound: str) -> None:
    channel = LiveChannel("lobby")
    code = GIVE.format(file=sound) + "assert url == 'http://here/'; sys.exit('the stream broke')"
    async with source(channel, code) as logs:
        await until(lambda: channel.edge >= 2 * len(PACKETS))
        assert channel.latest(80)[:40] == PACKETS
        assert channel.latest(80)[40:80] == PACKETS
        assert reasons(logs)[0] == "the stream broke"
    assert not channel.is_sending


async def test_a_source_that_falls_silent_has_gone_and_comes_back(sound: str) -> None:
    channel = LiveChannel("lobby")
    give = GIVE.format(file=sound)
    async with source(channel, f"{give}time.sleep(2.5); {give}time.sleep(60)"):
        await until(lambda: channel.is_sending)
        await until(lambda: not channel.is_sending)
        assert channel.edge == len(PACKETS)
        await until(lambda: channel.is_sending)
        await until(lambda: channel.edge == 2 * len(PACKETS))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.stdout.write('no sound at all')", "it gave no Opus"),
        ("sys.exit(3)", "status 3"),
        ("sys.exit('one\\ntwo')", "two"),
    ],
)
async def test_other_processes_are_a_line_in_the_log(code: str, reason: str) -> None:
    channel = LiveChannel("lobby")
    async with source(channel, code) as logs:
        await until(lambda: len(reasons(logs)) >= 2)
        assert reasons(logs)[0] == reason
    assert channel.edge == 0


async def test_a_process_that_cannot_be_started() -> None:
    with capture_logs() as logs, trio.move_on_after(0.5):
        await Source(LiveChannel("lobby"), "http://here/", ["/nowhere/at all"]).run()
    assert reasons(logs)[0] == "No such file or directory"  # type: ignore[arg-type]


async def test_another_sender_has_the_channel(sound: str) -> None:
    channel = LiveChannel("lobby")
    with channel.sending():
        async with source(channel, GIVE.format(file=sound) + "time.sleep(0.2)") as logs:
            await until(lambda: reasons(logs))
    assert channel.edge == 0


async def test_a_source_is_read_while_it_is_the_nodes_turn(
    sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = SAYS + GIVE.format(file=sound) + "time.sleep(60)"
    monkeypatch.setattr(sources, "Source", partial(Source, command=[sys.executable, "-c", code]))
    channel, turn = LiveChannel("lobby"), AsyncValue(False)
    with capture_logs(), trio.fail_after(WITHIN_S):
        async with reading([channel], {"lobby": "http://here/"}, turns={"lobby": turn}):
            await trio.sleep(0.2)
            assert not channel.is_sending
            turn.value = True
            await until(lambda: channel.edge == len(PACKETS))
            turn.value = False
            await until(lambda: not channel.is_sending)
            turn.value = True
            await until(lambda: channel.edge == 2 * len(PACKETS))


async def test_a_source_that_another_node_has_displaced(sound: str) -> None:
    engine = MemoryEngine()
    feeds = EngineFeeds(MemoryLink(engine))  # type: ignore[arg-type]
    channel = SharedChannel("lobby", 5.0, feeds)
    async with feeds.joined("node"):
        await feeds.is_up.wait_value(True)
        async with source(channel, GIVE.format(file=sound) + "time.sleep(60)") as logs:
            await until(lambda: channel.place == "node")
            await until(lambda: engine.row("as:live:channel:lobby"))
            held = ["held", "as:live:channel:lobby", "x", "another"]
            engine.publish(NEWS, msgspec.msgpack.encode(held))
            await until(lambda: reasons(logs))
            assert reasons(logs)[0] == "another node has the channel"


async def test_no_process_is_left(sound: str, tmp_path: Path) -> None:
    channel, pid = LiveChannel("lobby"), tmp_path / "pid"
    code = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid())); "
    async with source(channel, code + GIVE.format(file=sound) + "time.sleep(60)"):
        await until(lambda: channel.edge)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_a_stream_of_the_web_is_heard() -> None:
    """By the process that a server starts."""
    with TONE.open("rb") as file:
        body = opus_bytes([one.data for one in islice(read_opus(file), 100)])

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: audio/ogg\r\ncontent-length: {len(body)}\r\n\r\n"
        await stream.send_all(head.encode() + body)
        await stream.aclose()

    channel = LiveChannel("lobby")
    with capture_logs() as logs, trio.fail_after(WITHIN_S):
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, serve, [listener])
            port = listener.socket.getsockname()[1]
            async with reading([channel], {"lobby": f"http://127.0.0.1:{port}/tone.opus"}):
                await until(lambda: channel.edge >= 100)
                await until(lambda: reasons(logs))  # type: ignore[arg-type]
                assert reasons(logs)[0] == "its sound has ended"  # type: ignore[arg-type]
            nursery.cancel_scope.cancel()
