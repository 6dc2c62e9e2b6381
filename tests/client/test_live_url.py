"""`audio-server live` with a URL: a stream that breaks in every way, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from client_run import Run, Said
from fake_api import FakeServer
from free_ports import free_port
from structlog.testing import capture_logs
from web_stations import Answer, Station, file, in_turn, lost, on_air, redirect, stream, text

from audio_server.app import serve_until
from audio_server.cli import live_sources
from audio_server.clips.folder import default_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.ogg_opus import read_opus
from audio_server.device.live_channel import LiveChannel
from audio_server.settings import Settings

CHANNEL = {"name": "radio", "mode": 5, "sending": False, "inserted": 0, "left_out": 0}
TONE = default_clips() / "1-square.opus"


@pytest.fixture
def station(monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with on_air() as station:
        yield station


def tone(packets: int) -> bytes:
    with TONE.open("rb") as opened:
        return opus_bytes([piece.data for piece in read_opus(opened)][:packets])


async def test_a_stream_is_opened_again_however_it_breaks(
    tmp_path: Path, run: Run, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, *argv))

    monkeypatch.setattr(live_sources, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(live_sources, "LONGEST_PAUSE_S", 0.04)
    monkeypatch.setattr(live_sources, "SILENT_S", 0.5)
    channel: list[LiveChannel] = []
    senders: list[bool] = []
    pause = trio.sleep

    async def pausing(seconds: float) -> None:
        if seconds in (0.02, 0.04):
            senders.append(channel[0].is_sending)
        await pause(seconds)

    monkeypatch.setattr(trio, "sleep", pausing)
    begin = LiveChannel.__init__

    def noted(self: LiveChannel, *args: Any) -> None:
        channel.append(self)
        begin(self, *args)

    monkeypatch.setattr(LiveChannel, "__init__", noted)
    station.answers["/live"] = in_turn(
        stream(tone(20), kind="audio/ogg"),  # ends
        lost,
        redirect("file:///etc/passwd"),
        stream(tone(20), stalls=True),
        stream(b"\0no sound" * 500),
        text("[playlist]\nFile1=file:///etc/passwd\n"),
        file(tone(20)),
    )
    http = f"127.0.0.1:{free_port()}"
    settings = Settings(
        port=0, http=http, clips=default_clips(), cache=tmp_path, data=None, live=("radio",)
    )
    monkeypatch.setenv("AUDIO_SERVER_URL", f"http://{http}")
    url, stop = station.url("/live"), trio.Event()
    with capture_logs():
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_until, stop, settings)
            status, out, err = await said("live", "radio", url)
            stop.set()
    lines = err.splitlines()
    reasons = [
        "has ended; opened again in 0.02 s",
        "is answered 404 Not Found; opened again in 0.04 s",
        "leads to file:///etc/passwd, and only http and https are followed; opened again in 0.04 s",
        "has stopped coming; opened again in 0.04 s",
        "cannot be read",
        "leads to file:///etc/passwd, and only http and https are followed; opened again in 0.04 s",
    ]
    assert (status, len(lines)) == (0, 6)
    for line, reason in zip(lines, reasons, strict=True):
        assert line.startswith(f"audio-server: {url}: ")
        assert reason in line
    sent = float(out.removeprefix("radio: ").removesuffix(" s of sound were sent\n"))
    assert sent == pytest.approx(channel[0].edge * 0.02, abs=0.1)
    assert channel[0].edge >= 40
    assert senders == [False] * 6  # the patience of the channel decides how long devices wait


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("rtsp://a.org/x",), "rtsp is not read, only http and https"),
        (("file:///etc/passwd",), "file is not read, only http and https"),
        (("tone.opus", "--allow-host", "a.org"), "--allow-host: the source is no URL"),
    ],
)
def test_wrong_usage(run: Run, argv: tuple[str, ...], reason: str) -> None:
    status, out, err = run("live", "radio", *argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert reason in err


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: lost, "is answered 404 Not Found"),
        (lambda: redirect("file:///etc/passwd"), "only http and https are followed"),
        (lambda: redirect("http://localhost:1/"), "--allow-host localhost allows it"),
        (lambda: stream(b"\0no sound" * 500), "cannot be read"),
        (lambda: file(tone(0)), "cannot be read"),
        (lambda: stream(b"", stalls=True), "has stopped coming"),
    ],
)
def test_a_url_that_never_gave_sound_ends_it(
    fake: FakeServer,
    run: Run,
    station: Station,
    make: Callable[[], Answer],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_sources, "OPENING_S", 0.5)
    fake.channels = [CHANNEL]
    monkeypatch.setattr(live_sources, "SILENT_S", 0.3)
    station.answers["/live"] = make()
    status, out, err = run("live", "radio", station.url("/live"))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert reason in err
