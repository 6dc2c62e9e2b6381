"""Commands on the server itself, with a device that is connected to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from client_run import Run, Said
from free_ports import free_port
from structlog.testing import capture_logs

from audio_server.app import serve_until
from audio_server.client.history import follow
from audio_server.client.server import Server
from audio_server.clips.folder import default_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.rpc.client import open_channel
from audio_server.settings import Settings
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.wire.audio import SILENCE


@asynccontextmanager
async def served(
    tmp_path: Path, data: Path | None = None, config: Path | None = None
) -> AsyncIterator[tuple[str, int]]:
    """A server: where its pages are, and where devices connect."""
    http = f"127.0.0.1:{free_port()}"
    settings = Settings(
        port=0, http=http, clips=default_clips(), cache=tmp_path, data=data, grace_s=1
    )
    stop = trio.Event()
    with capture_logs():
        async with trio.open_nursery() as nursery:
            port = await nursery.start(partial(serve_until, config=config), stop, settings)
            yield f"http://{http}", port
            stop.set()


@asynccontextmanager
async def connected(device_id: str, port: int) -> AsyncIterator[None]:
    """A device that is on for the block."""
    device = VirtualDevice(device_id, partial(open_channel, "127.0.0.1", port))
    async with trio.open_nursery() as nursery:
        await nursery.start(device.run)
        device.switch_on()
        await device.link.wait_value(Link.ONLINE)
        yield
        nursery.cancel_scope.cancel()


async def test_a_device_is_seen_pressed_played_on_and_stopped(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, *argv))

    async with served(tmp_path) as (url, port), connected("hall", port):
        monkeypatch.setenv("AUDIO_SERVER_URL", url)
        assert await said("press", "hall", "mode") == (0, "hall: mode 1 square, idle\n", "")
        assert await said("play", "triangle", "hall") == (0, "triangle plays on 1 device\n", "")
        (row,) = json.loads((await said("devices", "--json")).out)["rows"]
        assert (row["id"], row["mode"], row["playing"]["clip"]) == ("hall", 1, "3-triangle")
        assert "triangle 0:00/0:08" in (await said("devices", "show", "hall")).out
        assert await said("stop", "--all") == (0, "stopped 1 device\n", "")
        assert (await said("rename", "hall", "The Hall")).status == 0
        (line,) = (await said("devices")).out.splitlines()[1:]
        assert line.split()[:6] == ["hall", "idle", "1", "square", "The", "Hall"]
        told = [line.split("  ")[2] for line in (await said("logs", "hall")).out.splitlines()]
        assert [text for text in told if "LEDs" not in text][-5:] == [
            "an operator played triangle",
            "triangle starts",
            "an operator stopped it",
            told[-2],  # after how many seconds
            "renamed to The Hall",
        ]
        assert told[-2].startswith("triangle was cut after ")
        for argv in ("press nobody mode", "play nothing --all", "rename nobody x", "logs nobody"):
            status, out, err = await said(*argv.split())
            assert (status, out, err.count("\n")) == (1, "", 1)


async def test_what_happens_is_followed(tmp_path: Path) -> None:
    told: list[str] = []
    begun, ended = trio.Event(), trio.Event()

    def tell(event: dict[str, str]) -> None:
        told.append(event["kind"])
        begun.set()
        if told[-1] == "gone":
            ended.set()

    async with served(tmp_path) as (url, port), trio.open_nursery() as nursery:
        async with connected("hall", port):
            nursery.start_soon(follow, Server(url), "hall", tell)
            await begun.wait()
        with trio.fail_after(30):
            await ended.wait()
        nursery.cancel_scope.cancel()
    assert told[0] == "connected"
    assert len(told) == len(set(told) - {"leds"}) + told.count("leds")  # each once


async def test_groups_are_set_shown_and_deleted(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings in force, of the file and of the API, with the devices that are there."""

    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, "groups", *argv))

    lobby, config = tmp_path / "data" / "lobby", tmp_path / "settings.toml"
    lobby.mkdir(parents=True)
    for name in ("0-bell", "1-chime"):
        (lobby / f"{name}.opus").write_bytes(opus_bytes([SILENCE] * 50))
    config.write_text("[groups.hall]\nlead_ms = 100\n")
    async with served(tmp_path, tmp_path / "data", config) as (url, port), connected("x", port):
        monkeypatch.setenv("AUDIO_SERVER_URL", url)
        assert (await trio.to_thread.run_sync(partial(run, "tag", "lobby", "x"))).status == 0
        status, out, _ = await said("set", "lobby", f"clips={lobby}", "led_brightness=40")
        assert (status, out.split("\n")[:2]) == (
            0,
            ["group           lobby", "devices         1, 1 of them connected"],
        )
        headings, hall, listed = (await said()).out.splitlines()
        assert headings.split()[:3] == ["group", "connected", "known"]
        assert hall.split() == ["hall", "0", "0", "file", "-", "lead_ms=100"]
        assert listed.split() == [
            "lobby",
            "1",
            "1",
            "API",
            "2",
            f"clips={lobby}",
            "led_brightness=40",
        ]
        shown = (await said("show", "lobby")).out.splitlines()
        assert [line.split()[-1] for line in shown[-2:]] == ["0-bell", "1-chime"]
        unset = json.loads((await said("unset", "lobby", "clips", "--json")).out)
        assert (unset["settings"], unset["clips"]) == ({"led_brightness": 40}, None)
        for argv, told in (
            ("set hall lead_ms=60", f"hall: [groups.hall] is in {config}; change it there and"),
            ("delete hall", "hall: [groups.hall] is in "),
            ("show nobody", "nobody: no device has the tag, and the group has no settings"),
            ("set lobby clips=/", "lobby: clips: / is not in "),
            (f"set lobby clips={tmp_path}/data", f"{tmp_path}/data: has no clips in it"),
        ):
            status, out, err = await said(*argv.split())
            assert (status, out, err.count("\n")) == (1, "", 1), argv
            assert told in err
        assert (await said("delete", "lobby")).out == "lobby has no settings now\n"
        groups = json.loads((await said("--json")).out)["groups"]
        assert [(one["name"], one["source"]) for one in groups] == [
            ("hall", "file"),
            ("lobby", None),
        ]


async def test_clips_of_a_group_are_changed(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a server that runs, in a folder that the first change makes."""

    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, "clips", *argv, "--group", "lobby"))

    gong = tmp_path / "3-gong.opus"
    gong.write_bytes(opus_bytes([SILENCE] * 50))
    before = sorted(one.name for one in default_clips().iterdir())
    async with served(tmp_path, tmp_path / "data") as (url, port), connected("x", port):
        monkeypatch.setenv("AUDIO_SERVER_URL", url)
        status, out, err = await said("list")
        assert (status, out) == (1, "")
        assert err == (
            "audio-server: lobby: no device has the tag, and the group has no settings\n"
        )
        assert (await trio.to_thread.run_sync(partial(run, "tag", "lobby", "x"))).status == 0
        for argv, told in (
            (("add", str(gong)), "lobby: gong is the clip of mode 5\n"),
            (("add", str(gong), "--name", "bell"), "lobby: bell is the clip of mode 6\n"),
            (("rename", "gong", "drum"), "lobby: drum is the clip of mode 5\n"),
            (("replace", "home", str(gong)), "lobby: home is the clip of mode 0\n"),
            (("move", "bell", "1"), "lobby: bell is the clip of mode 1\n"),
            (("remove", "square"), "lobby: square is removed\n"),
        ):
            assert await said(*argv) == (0, told, "")
        listed = json.loads((await said("list", "--json")).out)
        names = [clip["name"].partition("-")[2] for clip in listed]
        assert names == ["home", "bell", "rhomboid", "triangle", "circle", "drum"]
        assert listed[0].keys() == {"mode", "name", "duration_s", "bit_rate_bps", "source"}
        assert (await said("list")).out.splitlines()[1].split()[:3] == ["0", "00-home", "0:01.00"]
        for argv, status, told in (
            (("remove", "square"), 1, "square: there is no such clip"),
            (("rename", "square", "x"), 2, "square: there is no such clip"),
            (("move", "bell", "6"), 2, "there are 6 clips, so the last mode is 5"),
            (("add", str(tmp_path / "none.wav")), 2, "none.wav: No such file or directory"),
            (("add", __file__), 1, "test_client_with_server.py: "),
        ):
            found, out, err = await said(*argv)
            assert (found, out, err.count("\n"), told in err) == (status, "", 1, True), err
    assert sorted(one.name for one in default_clips().iterdir()) == before
