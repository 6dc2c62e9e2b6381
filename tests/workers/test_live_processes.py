"""A live channel of a server with real workers: sent over HTTP, heard on each of them."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import trio
from test_fleet_of_workers import asked
from worker_server import Panel, WorkerServer, open_server

from audio_server.clips.folder import default_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.ogg_opus import read_opus
from audio_server.wire.audio import SILENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WITHIN_S = 60
TONE = default_clips() / "1-square.opus"


async def send(server: WorkerServer, data: bytes) -> None:
    """Send a file to the channel, as fast as the server takes it."""
    url = (await server.log.wait("pages"))["url"].removeprefix("http://")
    host, port = url.split(":")
    head = f"PUT /api/live/radio HTTP/1.1\r\nhost: {url}\r\ncontent-length: {len(data)}\r\n\r\n"
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(head.encode() + data)
        answer = await stream.receive_some()
    assert answer.split()[1] == b"200", answer


async def hear(panel: Panel) -> list[bytes]:
    """Return the packets of one take."""
    heard = []
    while not (packet := await panel.audio.recv_message()).is_end:
        heard.append(packet.data)
    return heard


async def listed(server: WorkerServer) -> list[dict[str, Any]]:
    """The recordings, as the server lists them."""
    async with asked(server, "GET /api/recordings") as stream:
        answer = b""
        while not answer.endswith(b"}"):
            answer += await stream.receive_some()
    found: list[dict[str, Any]] = json.loads(answer.partition(b"\r\n\r\n")[2])["recordings"]
    return found


async def written(server: WorkerServer) -> None:
    """Return when a recording has sound."""
    while True:
        if any(one["seconds"] for one in await listed(server)):
            return
        await trio.sleep(0.1)


async def test_a_recording_is_whole_after_a_kill(tmp_path: Path) -> None:
    with TONE.open("rb") as file:
        packets = [piece.data for piece in islice(read_opus(file), 290)]
    flags = ("--live", "radio", "--record")
    with trio.fail_after(WITHIN_S):
        async with (
            open_server(*flags, folder=tmp_path, http="127.0.0.1:0") as server,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(send_until_killed, server, opus_bytes(packets))
            await written(server)
            await trio.sleep(2.5)
            server.process.kill()
        (path,) = (tmp_path / "data" / "recordings").iterdir()
        with path.open("r+b") as file:
            file.seek(0, 2)
            file.write(b"OggS and a torn page")
        async with open_server(*flags, folder=tmp_path, http="127.0.0.1:0") as server:
            (one,) = await listed(server)
    assert one["name"] == path.name
    with path.open("rb") as file:
        kept = [piece.data for piece in read_opus(file)]
    assert kept == packets[: len(kept)]
    assert len(kept) >= 150  # two writes
    assert one["seconds"] == len(kept) * 20 / 1000


async def send_until_killed(server: WorkerServer, data: bytes) -> None:
    with suppress(OSError, trio.BrokenResourceError, IndexError):
        await send(server, data)


async def test_each_worker_hears_the_channel_bit_for_bit(tmp_path: Path) -> None:
    with TONE.open("rb") as file:
        packets = [one.data for one in islice(read_opus(file), 200) if one.data != SILENCE]
    flags = ("--workers", "2", "--live", "hall,radio", "--live-patience-s", "0.5")
    heard: dict[str, list[bytes]] = {}
    with trio.fail_after(WITHIN_S):
        async with (
            open_server(*flags, folder=tmp_path, http="127.0.0.1:0") as server,
            server.device("one") as one,
            server.device("two") as two,
            trio.open_nursery() as nursery,
        ):

            async def listen(name: str, panel: Any) -> None:
                heard[name] = await hear(panel)

            nursery.start_soon(send, server, opus_bytes(packets))
            await trio.sleep(0.5)
            for name, panel in (("one", one), ("two", two)):
                nursery.start_soon(listen, name, panel)
            body = json.dumps({"devices": "all", "live": "radio"})
            async with asked(server, "POST /api/play", body) as stream:
                answer = await stream.receive_some()
            assert answer.split()[1] == b"200", answer
    for got in heard.values():
        sound = [one for one in got if one != SILENCE]  # a busy machine may lack a packet
        first = packets.index(sound[0])
        assert first < len(packets) // 2
        assert sound == packets[first:]
