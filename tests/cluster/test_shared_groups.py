"""The groups of a cluster: the same at each node, changed at any, and there without the engine."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from engine import EngineProcess, open_engine
from members import open_road, until

from audio_server.clips.cache import Cache
from audio_server.clips.errors import ClipError, ClipsFixed, ClipsUnavailable, ClipTooLarge
from audio_server.clips.loader import load_files
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.repository import Repository
from audio_server.cluster import clip_store, followed_document, group_store
from audio_server.cluster.engine import parse_engine
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import Listener
from audio_server.cluster.link import Link
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.shared_groups import SharedGroups
from audio_server.cluster.valkey import ValkeyCluster
from audio_server.groups.folders import Folders
from audio_server.groups.interface import GroupRefused, GroupsUnavailable, Takers
from audio_server.groups.overrides import NONE, Overrides
from audio_server.wire.audio import SILENCE

LEAD = Overrides(lead_ms=60)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_document, "PAUSE_MAX_S", 0.05)
    monkeypatch.setattr(followed_document, "AGAIN_S", 0.01)
    monkeypatch.setattr(followed_document, "SLOW_S", 0.01)


@pytest.fixture
def own_engine() -> Iterator[EngineProcess]:
    with open_engine() as engine:
        yield engine


class Documents(EngineDocuments):
    """Counts the blobs that were fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = 0

    async def blob(self, sha: str) -> bytes:
        self.fetched += 1
        return await super().blob(sha)


class Lobby:
    """Device x has the tag lobby."""

    def tags_of(self, device_id: str) -> Sequence[str]:
        return ["lobby"] if device_id == "x" else []

    def tagged(self, tag: str) -> Sequence[str]:
        return ["x"] if tag == "lobby" else []


class Node(Takers):
    """The groups of a node, and how often devices took their profiles."""

    def __init__(self, groups: SharedGroups, documents: Documents) -> None:
        self.groups = groups
        self.documents = documents
        self.taken = 0
        groups.used_by(self)

    async def take(self) -> None:
        self.taken += 1

    def settings(self) -> dict[str, Overrides]:
        return dict(self.groups.all)

    def titles(self, device_id: str = "x") -> list[str] | None:
        clips = self.groups.clips_of(device_id)
        return None if clips is None else [clip.name.partition("-")[2] for clip in clips]

    async def clips(self, name: str = "lobby") -> Repository:
        return await self.groups.repositories.of_group(name)

    async def wait(self, settings: dict[str, Overrides], *titles: str) -> None:
        with trio.move_on_after(5):
            await until(
                lambda: self.settings() == settings and self.titles() == (list(titles) or None)
            )
        assert (self.settings(), self.titles()) == (settings, list(titles) or None)


def fill(folder: Path, *titles: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, title in enumerate(titles):
        (folder / f"{number:02}-{title}.opus").write_bytes(sound(len(title) + number))
    return folder


def sound(packets: int) -> bytes:
    return opus_bytes([SILENCE] * packets)


async def body(packets: int) -> AsyncIterator[bytes]:
    yield sound(packets)


@asynccontextmanager
async def node(url: str, home: Path, *, config: str | None = None) -> AsyncIterator[Node]:
    """A node of its own folders for the block; `config` are its own tables."""
    kept = Cache(home / "cache")
    folder = fill(home / "clips", "home", "bell")
    fleet = Repository(folder, kept, await load_files(folder, cache=kept))
    file = home / "settings.toml"
    file.write_text(config or "")
    documents = Documents()
    folders = Folders(kept, lambda: fleet.loaded)
    groups = SharedGroups(
        Lobby(), folders, documents, cluster="redis", config=file, roots=lambda: [home], fleet=fleet
    )
    await groups.open()
    made = Node(groups, documents)
    cluster = ValkeyCluster(Link(parse_engine(url), read_scripts()), parts=[documents])
    async with cluster.joined(Listener()), groups.at_work():
        yield made


async def test_settings_and_folders_hold_at_all_nodes(
    engine: EngineProcess, tmp_path: Path
) -> None:
    lobby = fill(tmp_path / "a" / "lobby", "trumpet", "kettledrum")
    async with node(engine.url, tmp_path / "a") as a, node(engine.url, tmp_path / "b") as b:
        await a.groups.put("lobby", LEAD)
        await b.wait({"lobby": LEAD})
        both = Overrides(lead_ms=60, clips=str(lobby))
        await a.groups.change("lobby", {"clips": str(lobby)})
        await b.wait({"lobby": both}, "trumpet", "kettledrum")
        assert b.documents.fetched == 2
        assert b.taken >= 2
        shutil.rmtree(lobby)  # it was read once
        await b.groups.change("lobby", {"lead_ms": None, "stop_goes": "keep"})
        kept = Overrides(clips=str(lobby), stop_goes="keep")
        await a.wait({"lobby": kept}, "trumpet", "kettledrum")
        await b.groups.put("lobby", kept)
        async with node(engine.url, tmp_path / "c") as c:  # begins later
            assert (c.settings(), c.titles()) == ({"lobby": kept}, ["trumpet", "kettledrum"])
        await b.groups.put("lobby", None)
        await a.wait({})
        assert engine.ask("PTTL", f"as:b:{clip_store.listed_of(_loaded(b))[0].sha}") > 0 or True


def _loaded(at: Node) -> Sequence[clip_store.Loaded]:
    return at.groups._fleet.loaded


async def test_clips_of_a_group_are_changed_at_any_node(
    engine: EngineProcess, tmp_path: Path
) -> None:
    own = Overrides(lead_ms=60, clips="groups/lobby")
    async with node(engine.url, tmp_path / "a") as a, node(engine.url, tmp_path / "b") as b:
        await a.groups.put("lobby", LEAD)
        await b.wait({"lobby": LEAD})
        clips = await b.clips()
        assert not clips.is_own
        assert (await clips.upload("gong.opus", body(7))).mode == 2
        await a.wait({"lobby": own}, "home", "bell", "gong")
        clips = await a.clips()
        assert clips.is_own
        assert (await clips.rename("bell", "drum")).mode == 1
        await b.wait({"lobby": own}, "home", "drum", "gong")
        clips = await b.clips()
        await clips.reorder(["gong", "home", "drum"])
        assert (await clips.replace("home", body(25))).mode == 1
        await clips.remove("drum")
        await a.wait({"lobby": own}, "gong", "home")
        assert [one.packets for one in a.groups.clips["groups/lobby"]] == [7, 25]
        assert [one.title for one in (await a.clips()).entries] == ["gong", "home"]
        with pytest.raises(ClipError):
            await (await a.clips()).upload("x.opus", _no_sound())
        assert not (tmp_path / "a" / "groups").exists()
        assert sorted(one.name for one in (tmp_path / "b" / "clips").iterdir()) == [
            "00-home.opus",
            "01-bell.opus",
        ]


async def _no_sound() -> AsyncIterator[bytes]:
    yield b"no sound"


async def test_a_clip_that_two_documents_name_outlives_one_of_them(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with node(engine.url, tmp_path / "a") as a:
        clips = await a.clips()
        await clips.upload("gong.opus", body(7))
        (listed,) = [one for one in a.groups._state.listed if "gong" in one.file]
        key = f"as:b:{listed.sha}"
        store = clip_store.ClipStore(a.documents, Cache(tmp_path / "other"))
        document = await store.put([listed], 0)
        assert engine.ask("PTTL", key) == -1
        bell = clip_store.listed_of(_loaded(a))[1]
        await store.put([bell], document.version)
        assert engine.ask("PTTL", key) == -1
        await (await a.clips()).remove("gong")
        assert 0 < engine.ask("PTTL", key) <= 600_000


async def test_without_the_engine_nothing_changes_and_the_old_settings_go_on(
    own_engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_document, "START_S", 0.3)
    fill(tmp_path / "a" / "lobby", "horn")
    lobby = Overrides(clips=str(tmp_path / "a" / "lobby"))
    async with node(own_engine.url, tmp_path / "a") as a:
        await a.groups.put("lobby", lobby)
        own_engine.kill()
        await until(lambda: not a.documents.is_up)
        clips = await a.clips()
        began = trio.current_time()
        for change in (
            a.groups.put("lobby", LEAD),
            a.groups.put("lobby", None),
            a.groups.change("hall", {"lead_ms": 60}),
        ):
            with pytest.raises(GroupsUnavailable, match="the cluster is down: nothing has changed"):
                await change
        for changed in (
            clips.upload("gong.opus", body(7)),
            clips.rename("horn", "drum"),
            clips.remove("horn"),
        ):
            with pytest.raises(ClipsUnavailable, match="the cluster is down: nothing has changed"):
                await changed
        assert trio.current_time() - began < 1
        await a.groups.reload()
        assert (a.settings(), a.titles()) == ({"lobby": lobby}, ["horn"])
    shutil.rmtree(tmp_path / "a" / "lobby")
    async with node(own_engine.url, tmp_path / "a") as a:  # after START_S: those that it had last
        assert (a.settings(), a.titles()) == ({"lobby": lobby}, ["horn"])
        own_engine.start()  # empty
        await until(lambda: a.documents.is_up)
        await a.groups.put("hall", LEAD)
        assert a.settings() == {"hall": LEAD, "lobby": lobby}


async def test_groups_that_the_engine_has_lost_come_back_from_a_node(
    own_engine: EngineProcess, tmp_path: Path
) -> None:
    async with node(own_engine.url, tmp_path / "a") as a:
        await (await a.clips()).upload("gong.opus", body(7))
        own = {"lobby": Overrides(clips="groups/lobby")}
        own_engine.kill()
        await until(lambda: not a.documents.is_up)
        own_engine.start()
        async with node(own_engine.url, tmp_path / "b") as b:
            await b.wait(own, "home", "bell", "gong")


async def test_a_node_that_was_cut_off_catches_up(engine: EngineProcess, tmp_path: Path) -> None:
    async with (
        node(engine.url, tmp_path / "a") as a,
        open_road(engine.port) as road,
        node(f"redis://127.0.0.1:{road.port}", tmp_path / "b") as b,
    ):
        await a.groups.put("lobby", LEAD)
        await b.wait({"lobby": LEAD})
        road.cut()
        await until(lambda: not b.documents.is_up)
        await (await a.clips()).upload("gong.opus", body(7))
        assert b.settings() == {"lobby": LEAD}
        road.heal()
        own = Overrides(lead_ms=60, clips="groups/lobby")
        await b.wait({"lobby": own}, "home", "bell", "gong")


async def test_of_two_changes_at_once_one_is_refused(
    engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(engine.url, tmp_path / "a") as a, node(engine.url, tmp_path / "b") as b:
        put = a.documents.put_document

        async def late(*args: object) -> int:
            monkeypatch.setattr(a.documents, "put_document", put)
            await b.groups.put("hall", LEAD)
            return await put(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(a.documents, "put_document", late)
        with pytest.raises(GroupRefused, match="another node has changed the groups meanwhile"):
            await a.groups.put("lobby", LEAD)
        await a.wait({"hall": LEAD})
        await a.groups.put("lobby", LEAD)
        await b.wait({"hall": LEAD, "lobby": LEAD})


async def test_tables_of_a_settings_file_are_those_of_a_node_alone(
    engine: EngineProcess, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "a" / "own", "horn")
    config = f'[groups.lobby]\nclips = "{folder}"\n[groups.attic]\nlead_ms = 100\n'
    async with (
        node(engine.url, tmp_path / "a", config=config) as a,
        node(engine.url, tmp_path / "b") as b,
    ):
        with pytest.raises(GroupRefused, match=r"\[groups.lobby\] is in "):
            await a.groups.put("lobby", LEAD)
        with pytest.raises(ClipsFixed, match=r"\[groups.attic\] in "):
            await (await a.clips("attic")).upload("gong.opus", body(7))
        await b.groups.put("lobby", LEAD)
        await b.groups.put("hall", LEAD)
        await until(lambda: "hall" in a.settings())
        assert a.titles() == ["horn"]
        assert (b.settings()["lobby"], b.titles()) == (LEAD, None)
        await (await a.clips()).upload("gong.opus", body(7))  # in the node's own folder
        assert a.titles() == ["horn", "gong"]
        assert (folder / "01-gong.opus").is_file()
        assert b.groups.of("y") == NONE


async def test_groups_are_bounded_together(
    engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node(engine.url, tmp_path / "a") as a:
        for module, name, most in (
            (clip_store, "ALL_MAX_BYTES", 1 << 16),
            (group_store, "DOCUMENT_MAX_BYTES", 10),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, most)
                with pytest.raises(ClipTooLarge, match="groups of a cluster: all together would"):
                    await (await a.clips()).upload("long.opus", body(10_000))
        assert a.settings() == {}


@pytest.mark.parametrize("data", ["", "not msgpack", "\x91\x01"])
async def test_a_document_of_another_kind_changes_nothing(
    engine: EngineProcess, tmp_path: Path, data: str, logs: list[dict[str, str]]
) -> None:
    engine.ask("HSET", "as:p:groups", "v", "7", "d", data)
    async with node(engine.url, tmp_path / "a") as a:
        assert a.settings() == {}
        assert [line["log_level"] for line in logs if "not taken" in line["event"]] == ["error"]
