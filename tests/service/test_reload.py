"""SIGHUP to a server of one process: what plays goes on, and the next Play has the new clip."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import structlog.testing
import trio
from panel import event_of

from audio_server.app import serve_until
from audio_server.clips.ogg import opus_bytes
from audio_server.device.behaviour import Button
from audio_server.rpc.client import open_channel
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import AudioStreamRequest

ME = {"device_id": "one"}


async def logged(logs: list[Any], event: str) -> dict[str, Any]:
    """The newest line of that event."""
    with trio.fail_after(60):
        while not logs or logs[-1]["event"] != event:  # noqa: ASYNC110 - a list cannot be waited for
            await trio.sleep(0.01)
    line: dict[str, Any] = logs[-1]
    return line


async def take(audio: Any) -> int:
    """How many packets the take has that comes next, or is under way."""
    count = 1
    while not (await audio.recv_message()).is_end:
        count += 1
    return count


async def test_a_hangup_reads_the_folder_again(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = folder / "0.opus"
    clip.write_bytes(opus_bytes([SILENCE] * 50))
    settings = Settings(port=0, http="off", clips=folder, cache=tmp_path / "cache")
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(partial(serve_until, trio.Event(), settings))
            async with open_channel("127.0.0.1", port) as channel:
                untyped: Any = channel
                stub = DeviceServiceStub(untyped)
                async with (
                    stub.EventStream.open(metadata=ME) as events,
                    stub.ServerAudioStream.open(metadata=ME) as audio,
                ):
                    await audio.send_message(AudioStreamRequest(start=True), end=True)
                    await events.send_message(event_of(Button.PLAY))
                    assert (await audio.recv_message()).is_start

                    clip.write_bytes(opus_bytes([SILENCE] * 4))
                    signal.raise_signal(signal.SIGHUP)
                    assert (await logged(logs, "clips reloaded"))["clips"] == 1
                    (folder / "1.wav").write_bytes(b"no sound")
                    signal.raise_signal(signal.SIGHUP)
                    refused = await logged(logs, "clips not reloaded")
                    assert refused["reason"].startswith(f"{folder}/1.wav: cannot be read as sound")

                    assert await take(audio) == 49
                    await events.send_message(event_of(Button.PLAY))
                    assert await take(audio) == 4
            nursery.cancel_scope.cancel()
