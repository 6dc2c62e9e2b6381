"""`audio-server live` on the server itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
from client_run import Run, Said
from free_ports import free_port
from structlog.testing import capture_logs

from audio_server.app import serve_until
from audio_server.clips.folder import default_clips
from audio_server.settings import Settings

TONE = default_clips() / "1-square.opus"


async def test_sound_is_sent_and_refusals_are_one_line(
    tmp_path: Path, run: Run, monkeypatch
) -> None:
    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, *argv))

    http = f"127.0.0.1:{free_port()}"
    settings = Settings(
        port=0, http=http, clips=default_clips(), cache=tmp_path, data=None, live=("radio",)
    )
    short = tmp_path / "short.opus"
    short.write_bytes(TONE.read_bytes()[:9000])
    other = tmp_path / "other.wav"
    other.write_text("no sound")
    monkeypatch.setenv("AUDIO_SERVER_URL", f"http://{http}")
    stop = trio.Event()
    with capture_logs():
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_until, stop, settings)
            status, out, err = await said("live", "radio", str(short))
            assert (status, err) == (0, "")
            assert out.startswith("radio: ")
            assert out.endswith(" s of sound were sent\n")
            status, out, err = await said("live", "channels")
            assert (status, err) == (0, "")
            heading, row = out.splitlines()
            assert heading.split()[:4] == ["channel", "mode", "sound", "node"]
            assert row.split() == ["radio", "5", "off", "0", "0", "0"]
            refused = [
                (("tv", str(short)), "tv: the server has no such channel (radio)"),
                (("radio", str(other)), f"{other}: cannot be read"),
                (("radio", str(tmp_path / "missing")), "missing: No such file or directory"),
            ]
            for argv, reason in refused:
                status, out, err = await said("live", *argv)
                assert (status, out, err.count("\n")) == (2, "", 1)
                assert reason in err
            stop.set()
