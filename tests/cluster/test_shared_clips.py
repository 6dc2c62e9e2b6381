"""The clips of a cluster: the same at each node, changed at any, and there without the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from engine import EngineProcess, open_engine
from members import PATIENCE_S, open_road, until

from audio_server.clips.cache import Cache
from audio_server.clips.clip import Clip
from audio_server.clips.errors import (
    ClipError,
    ClipsChanged,
    ClipsUnavailable,
    ClipTooLarge,
    NoSuchClip,
)
from audio_server.clips.loader import load_files
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.repository import at_once
from audio_server.cluster import clip_store, engine_documents, followed_document, shared_clips
from audio_server.cluster.engine import parse_engine
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import ClusterSlow, Document, Listener
from audio_server.cluster.link import Link
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.shared_clips import SharedClips
from audio_server.cluster.valkey import ValkeyCluster
from audio_server.wire.audio import SILENCE

LONG = 20_000
"""Packets of a clip that takes several parts."""

Logs = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_document, "PAUSE_MAX_S", 0.05)
    monkeypatch.setattr(followed_document, "AGAIN_S", 0.01)
    monkeypatch.setattr(followed_document, "SLOW_S", 0.01)
    monkeypatch.setattr(shared_clips, "PUBLISH_S", 0.5)


@pytest.fixture
def own_engine() -> Iterator[EngineProcess]:
    with open_engine() as engine:
        yield engine


class Documents(EngineDocuments):
    """Counts the blobs that were fetched, and waits before a put where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched = self.slow = 0
        self.before_put: Any = None

    async def blob(self, sha: str) -> bytes:
        self.fetched += 1
        if self.slow:
            self.slow -= 1
            raise ClusterSlow
        return await super().blob(sha)

    async def put_document(self, *args: Any) -> int:
        if self.before_put is not None:
            before, self.before_put = self.before_put, None
            await before()
        return await super().put_document(*args)


class Player:
    """A node that plays clips."""

    def __init__(self, cluster: ValkeyCluster, documents: Documents, clips: SharedClips) -> None:
        self.cluster = cluster
        self.documents = documents
        self.clips = clips
        self.played: Sequence[Clip] = clips.clips
        clips.used_by(at_once(self._play))

    def _play(self, clips: Sequence[Clip]) -> None:
        self.played = clips

    def titles(self) -> list[str]:
        return [f"{one.title} {round(one.seconds / 0.02)}" for one in self.clips.entries]

    async def wait(self, *titles: str) -> None:
        try:
            await until(lambda: self.titles() == list(titles))
        except trio.TooSlowError:
            assert self.titles() == list(titles)
            raise


def fill(folder: Path, files: Mapping[str, int]) -> None:
    folder.mkdir(exist_ok=True)
    for number, (title, packets) in enumerate(files.items()):
        (folder / f"{number:02}-{title}.opus").write_bytes(opus_bytes([SILENCE] * packets))


@asynccontextmanager
async def player(
    url: str, folder: Path, *, cache: Path | None = None, **files: int
) -> AsyncIterator[Player]:
    """A node with a folder of its own for the block; its files have so many packets."""
    fill(folder, files)
    kept = Cache(cache or folder / "cache")
    documents = Documents()
    loaded = await load_files(folder, cache=kept)
    clips = SharedClips(folder, kept, loaded, documents, cluster=url)
    cluster = ValkeyCluster(Link(parse_engine(url), read_scripts()), parts=[documents])
    node = Player(cluster, documents, clips)
    async with cluster.joined(Listener()), clips.at_work():
        yield node


async def body(packets: int) -> AsyncIterator[bytes]:
    yield opus_bytes([SILENCE] * packets)


async def published(engine: EngineProcess) -> None:
    with trio.fail_after(PATIENCE_S):
        while engine.ask("EXISTS", "as:p:clips") == 0:  # noqa: ASYNC110
            await trio.sleep(0.02)


@asynccontextmanager
async def open_two(engine: EngineProcess, folder: Path) -> AsyncIterator[tuple[Player, Player]]:
    async with player(engine.url, folder / "a", home=3, bell=5) as a:
        await published(engine)
        async with player(engine.url, folder / "b", home=3) as b:
            yield a, b


async def test_the_first_node_puts_its_clips_and_others_play_them(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with player(engine.url, tmp_path / "a", home=3, bell=LONG) as a:
        assert engine.ask("EXISTS", "as:p:clips") == 0
        await published(engine)
        async with player(engine.url, tmp_path / "b", mine=1, more=2, yet=4) as b:
            assert b.titles() == a.titles() == ["home 3", f"bell {LONG}"]
            assert [clip.frames for clip in b.played] == [clip.frames for clip in a.played]
            assert [clip.source for clip in b.played] == [clip.source for clip in a.played]
            assert [clip.name for clip in b.played] == ["00-home", "01-bell"]
            assert engine.ask("HLEN", f"as:b:{await sha_of(a, 1)}") > 2
            assert (b.documents.fetched, b.clips.fixed_because) == (2, None)


async def sha_of(node: Player, mode: int) -> str:
    return (await node.clips._here())[mode].sha


async def test_a_change_at_a_node_is_a_change_at_all(engine: EngineProcess, tmp_path: Path) -> None:
    async with open_two(engine, tmp_path) as (a, b):
        entry = await b.clips.upload("new sound.opus", body(7))
        assert (entry.mode, entry.file) == (2, "02-new sound.opus")
        await a.wait("home 3", "bell 5", "new sound 7")
        old = await sha_of(a, 1)
        assert (await a.clips.rename("bell", "gong")).file == "01-gong.opus"
        await b.wait("home 3", "gong 5", "new sound 7")
        assert (await b.clips.replace("gong", body(9))).mode == 1
        await a.wait("home 3", "gong 9", "new sound 7")
        await a.clips.reorder(["new sound", "home", "gong"])
        await b.wait("new sound 7", "home 3", "gong 9")
        await b.clips.remove("home")
        await a.wait("new sound 7", "gong 9")
        assert 0 < engine.ask("PTTL", f"as:b:{old}") <= 600_000
        assert engine.ask("PTTL", f"as:b:{await sha_of(a, 1)}") == -1
        for change in (b.clips.remove("home"), b.clips.rename("nothing", "x")):
            with pytest.raises(NoSuchClip):
                await change
        with pytest.raises(ClipError, match="each clip that is there, once"):
            await b.clips.reorder(["gong", "gong"])
        await a.clips.remove("gong")
        with pytest.raises(ClipError, match="is the only clip"):
            await a.clips.remove("new sound")


async def test_of_two_changes_at_once_one_is_refused(engine: EngineProcess, tmp_path: Path) -> None:
    async with open_two(engine, tmp_path) as (a, b):

        async def change() -> None:
            await a.clips.rename("bell", "gong")

        b.documents.before_put = change
        with pytest.raises(ClipsChanged, match="another node has changed them meanwhile"):
            await b.clips.rename("home", "house")
        await b.wait("home 3", "gong 5")
        await b.clips.rename("home", "house")
        await a.wait("house 3", "gong 5")


async def test_clips_play_on_while_the_engine_is_down(
    own_engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_document, "START_S", 0.3)
    async with player(own_engine.url, tmp_path / "a", home=3, bell=5) as a:
        await published(own_engine)
        own_engine.kill()
        await until(lambda: not a.documents.is_up)
        began = trio.current_time()
        for change in (
            a.clips.upload("new.opus", body(7)),
            a.clips.replace("bell", body(7)),
            a.clips.rename("bell", "gong"),
            a.clips.reorder(["bell", "home"]),
            a.clips.remove("bell"),
            a.clips.reload(),
        ):
            with pytest.raises(ClipsUnavailable, match="the cluster is down: nothing has changed"):
                await change
        assert trio.current_time() - began < 1
        assert a.titles() == ["home 3", "bell 5"]
    async with player(own_engine.url, tmp_path / "a") as a:  # after START_S
        assert a.titles() == ["home 3", "bell 5"]


async def test_a_node_that_begins_without_the_engine_plays_what_the_cluster_had_last(
    own_engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    """The node that has changed a clip, one that has fetched it, and one that never had it."""
    async with (
        player(own_engine.url, tmp_path / "a", home=3, bell=5) as a,
        player(own_engine.url, tmp_path / "b", mine=1) as b,
    ):
        await a.wait("home 3", "bell 5")
        await published(own_engine)
        await a.clips.replace("home", body(9))
        await b.wait("home 9", "bell 5")
    own_engine.kill()
    monkeypatch.setattr(followed_document, "START_S", 0.2)
    async with (
        player(own_engine.url, tmp_path / "a") as a,
        player(own_engine.url, tmp_path / "b") as b,
        player(own_engine.url, tmp_path / "c", mine=1) as c,
        player("redis://127.0.0.1:1", tmp_path / "b") as of_another_cluster,
    ):
        assert a.titles() == b.titles() == ["home 9", "bell 5"]
        assert c.titles() == of_another_cluster.titles() == ["mine 1"]
        assert sum(line["event"] == "clips of the cluster not known here" for line in logs) == 2
        own_engine.start()  # without its rows: of those who have clips, none begins with its folder
        await c.wait("home 9", "bell 5")


async def test_a_slow_engine_is_given_a_second(engine: EngineProcess, tmp_path: Path) -> None:
    async with player(engine.url, tmp_path / "a", home=3, bell=5) as a:
        await published(engine)
        engine.hang()
        try:
            began = trio.current_time()
            with pytest.raises(ClipsUnavailable, match="the cluster does not answer"):
                await a.clips.rename("bell", "gong")
            spent = trio.current_time() - began
            assert engine_documents.ANSWER_S <= spent < 3 * engine_documents.ANSWER_S
        finally:
            engine.go_on()
        await until(lambda: a.documents.is_up)
        assert a.titles() == ["home 3", "bell 5"]


async def test_a_node_that_is_not_given_a_clip_in_time_tries_again(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with open_two(engine, tmp_path) as (a, b):
        b.documents.slow = 2
        await a.clips.upload("new.opus", body(7))
        await b.wait("home 3", "bell 5", "new 7")
        assert b.documents.slow == 0


async def test_a_cut_node_plays_the_old_clips_until_it_is_back(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with (
        player(engine.url, tmp_path / "a", home=3, bell=5) as a,
        open_road(engine.port) as road,
    ):
        await published(engine)
        async with player(f"redis://127.0.0.1:{road.port}", tmp_path / "b", mine=1) as b:
            road.cut()
            await until(lambda: not b.documents.is_up)
            await a.clips.rename("bell", "gong")
            await a.clips.remove("home")
            assert b.titles() == ["home 3", "bell 5"]
            road.heal()
            await b.wait("gong 5")


async def test_a_node_that_comes_again_fetches_nothing(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with player(engine.url, tmp_path / "a", home=3, bell=LONG):
        await published(engine)
        for fetched in (2, 0):
            async with player(engine.url, tmp_path / "b", cache=tmp_path / "kept", mine=1) as b:
                assert b.titles() == ["home 3", f"bell {LONG}"]
                assert b.documents.fetched == fetched


async def test_clips_that_the_engine_has_lost_come_back_from_a_node_that_plays_them(
    own_engine: EngineProcess, tmp_path: Path
) -> None:
    """And not from one that begins, whose folder has others."""
    async with player(own_engine.url, tmp_path / "a", home=3, bell=5) as a:
        await published(own_engine)
        own_engine.kill()
        await until(lambda: not a.documents.is_up)
        own_engine.start()
        async with player(own_engine.url, tmp_path / "b", mine=1) as b:
            await b.wait("home 3", "bell 5")
            assert a.titles() == b.titles()


async def test_clips_are_bounded_together(
    engine: EngineProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Logs
) -> None:
    monkeypatch.setattr(clip_store, "ALL_MAX_BYTES", 1 << 16)
    async with player(engine.url, tmp_path / "a", home=3) as a:
        await published(engine)
        with pytest.raises(ClipTooLarge, match="all together would have more than"):
            await a.clips.upload("long.opus", body(10_000))
        assert a.titles() == ["home 3"]
    engine.ask("FLUSHALL")
    monkeypatch.setattr(clip_store, "ALL_MAX_BYTES", 10)
    async with player(engine.url, tmp_path / "a"):
        await until(lambda: any("not taken" in line["event"] for line in logs))


async def test_a_clip_that_is_damaged_in_the_engine_is_not_played(
    engine: EngineProcess, tmp_path: Path, logs: Logs
) -> None:
    async with player(engine.url, tmp_path / "a", home=3, bell=5) as a:
        await published(engine)
        engine.ask("HSET", f"as:b:{await sha_of(a, 1)}", "0", "x" * 60)
        async with player(engine.url, tmp_path / "b", mine=1) as b:
            assert b.titles() == ["mine 1"]
            (line,) = [line for line in logs if line["event"] == "clips of the cluster not taken"]
            assert line["reason"] == "a clip is missing there: put it again, or remove it"
            await a.clips.remove("bell")
            await b.wait("home 3")


@pytest.mark.parametrize("data", ["", "not msgpack", "\x91\x01"])
async def test_a_document_of_another_kind_changes_nothing(
    engine: EngineProcess, tmp_path: Path, data: str, logs: Logs
) -> None:
    engine.ask("HSET", "as:p:clips", "v", "7", "d", data)
    async with player(engine.url, tmp_path / "a", home=3) as a:
        assert a.titles() == ["home 3"]
        assert [line["log_level"] for line in logs if "not taken" in line["event"]] == ["error"]
        assert a.clips._followed.here == Document(0, b"")
