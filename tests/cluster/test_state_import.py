"""`audio-server state import`: the state of one server, brought into a cluster once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from engine import EngineProcess
from members import member, until

from audio_server.clips.cache import Cache
from audio_server.clips.ogg import opus_bytes
from audio_server.cluster.group_store import GroupStore
from audio_server.device.entry import Entry
from audio_server.groups.kept import KeptGroups
from audio_server.groups.overrides import Overrides
from audio_server.identity.tokens import TOKENS_FILE, enroll, read_tokens
from audio_server.state.file import StateFile
from audio_server.state.modes import STATE_FILE
from audio_server.state.record import Record
from audio_server.wire.audio import SILENCE

COUNT = 120
"""Devices with tags: more than are written at a time."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a server that has run."""
    folder = tmp_path / "data"
    (folder / "clips").mkdir(parents=True)
    for number, title in enumerate(["home", "bell"]):
        file = folder / "clips" / f"{number:02}-{title}.opus"
        file.write_bytes(opus_bytes([SILENCE] * (number + 3)))
    record = Record()
    record.names.update({"x": "Küche", "y": "Hall"})
    record.modes.update({"x": 3, "y": 1, "away": 2})
    record.tags.update({f"device-{number}": ("a", "b") for number in range(COUNT)})
    record.entries["x"] = Entry(1.0, 2.0, None, 1, 0, 0, 3, None)
    with StateFile(folder / STATE_FILE) as file:
        file.write(record)
    enroll(folder / TOKENS_FILE, "x")
    (folder / "lobby").mkdir()
    (folder / "lobby" / "00-horn.opus").write_bytes(opus_bytes([SILENCE] * 9))
    groups = {"lobby": Overrides(clips=str(folder / "lobby")), "hall": Overrides(lead_ms=60)}
    KeptGroups(folder).write(groups)
    return folder


def run(engine_url: str | None, data: Path, *words: str) -> tuple[int, str, str]:
    """Run the command; return its status, its output and its complaint."""
    command = [sys.executable, "-m", "audio_server", "state", "import"]
    command += ["--cache", str(data.parent / "cache"), *words]
    if "--data" not in words:
        command += ["--data", str(data)]
    if engine_url is not None:
        command += ["--cluster", engine_url]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AUDIO_")}
    done = subprocess.run(
        command, env=environment, cwd=data, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


async def test_all_is_in_the_cluster_once(engine: EngineProcess, data: Path) -> None:
    done = run(engine.url, data, "--clips", str(data / "clips"))
    counts = f"2 names, {COUNT} tags, 3 modes, 1 tokens, 2 clips, 1 devices, 2 groups"
    assert done == (0, counts, "")
    async with member(engine.url) as node:
        assert node.records.names == {"x": "Küche", "y": "Hall"}
        assert len(node.records.tags) == COUNT
        assert node.records.tags["device-7"] == ("a", "b")
        assert node.records.tokens == read_tokens(data / TOKENS_FILE)
        assert (await node.documents.document("clips")).version == 1
        await until(lambda: node.inventory.is_up)
        entry = Entry(1.0, 2.0, None, 1, 0, 0, 3, None)
        assert node.inventory.away == {"x": (entry, None)}
        document = await node.documents.document("groups")
        state = await GroupStore(node.documents, Cache(data.parent / "x")).fetch(document, [])
        assert state.groups["hall"] == Overrides(lead_ms=60)
        (horn,) = state.folders[str(data / "lobby")]
        assert (horn.file, horn.clip.packets) == ("00-horn.opus", 9)
        for device_id, mode in {"x": 3, "away": 2, "device-7": 0}.items():
            assert (await node.cluster.claim(device_id, 0)).mode == mode
        await node.records.rename("x", "newer", is_known=True)
    status, _, told = run(engine.url, data, "--clips", str(data / "clips"))
    reason = (
        "the cluster has names, tags, tokens, clips or groups already; --replace writes over them"
    )
    assert (status, told) == (2, f"audio-server: {reason}")
    assert engine.ask("HGET", "as:r:x", "l") == "newer"
    assert run(engine.url, data, "--clips", str(data / "clips"), "--replace")[0] == 0
    assert engine.ask("HGET", "as:r:x", "l") == "Küche"
    assert engine.ask("HGET", "as:p:clips", "v") == "2"


async def test_modes_of_devices_that_are_connected_stay(engine: EngineProcess, data: Path) -> None:
    async with member(engine.url) as node:
        claimed = await node.cluster.claim("x", 0)
        await node.put("x", claimed.epoch, 4)
        left = await node.cluster.claim("y", 0)
        await node.put("y", left.epoch, 2)
        node.cluster.release("y")
        await until(lambda: engine.ask("HGET", "as:d:y", "h") is None)
        done = run(engine.url, data, "--clips", str(data / "clips"))
        assert (done[0], "1 modes" in done[1]) == (0, True)
        assert engine.ask("HGET", "as:d:x", "m") == "4"
        assert engine.ask("HGET", "as:d:y", "m") == "2"
        assert "2 modes" in run(engine.url, data, "--replace")[1]
        assert engine.ask("HGET", "as:d:x", "m") == "4"
        assert engine.ask("HGET", "as:d:y", "m") == "1"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, "name the cluster with --cluster URL"),
        ("redis://127.0.0.1:1", "the cluster at 127.0.0.1:1: Connection refused"),
    ],
)
def test_without_a_cluster_it_is_one_line(data: Path, url: str | None, told: str) -> None:
    assert run(url, data) == (2, "", f"audio-server: {told}")


def test_a_folder_that_is_not_there_is_named(engine: EngineProcess, data: Path) -> None:
    missing = data.parent / "missing"
    told = f"audio-server: {missing}: no data folder; name one with --data FOLDER"
    assert run(engine.url, data, "--data", str(missing)) == (2, "", told)


def test_a_folder_of_a_group_that_is_gone_is_named(engine: EngineProcess, data: Path) -> None:
    shutil.rmtree(data / "lobby")
    status, out, told = run(engine.url, data)
    assert (status, out) == (2, "")
    assert told.startswith(f"audio-server: {data / 'lobby'}: no folder of clips (")
    assert engine.ask("KEYS", "*") == []


def test_a_damaged_file_is_named_and_nothing_is_written(engine: EngineProcess, data: Path) -> None:
    (data / STATE_FILE).write_bytes(b"no database" * 1000)
    status, _, told = run(engine.url, data)
    assert (status, told.count("\n")) == (2, 0)
    assert STATE_FILE in told
    assert engine.ask("KEYS", "*") == []
