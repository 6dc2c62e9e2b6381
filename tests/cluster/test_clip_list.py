"""The clips of all nodes: each fetches those that it lacks, then plays the new list."""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import Source
from audio_server.cluster.clip_list import ClipList, put_clips
from audio_server.cluster.interface import Document
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.wire.audio import SILENCE

SOURCE = Source("flac", 44_100, 2, passed_through=False)


def clips_of(**packets: int) -> list[Clip]:
    return [Clip.from_packets(name, [SILENCE] * count, SOURCE) for name, count in packets.items()]


class Counted(LocalCluster):
    """A cluster, and how often a blob was asked for."""

    blobs = 0

    async def blob(self, sha: str) -> bytes:
        self.blobs += 1
        return await super().blob(sha)


class Playing:
    """A node's clips."""

    def __init__(self, hub: Hub) -> None:
        self.cluster = Counted(hub)
        self.list = ClipList(self.cluster)
        self.clips: Sequence[Clip] = ()

    async def fetch(self) -> None:
        await self.list.fetch(self.use)

    def use(self, clips: Sequence[Clip]) -> None:
        self.clips = clips


async def test_what_is_put_is_what_is_played() -> None:
    hub = Hub()
    playing = Playing(hub)
    await playing.fetch()
    assert playing.clips == ()
    clips = [*clips_of(a=1, b=200), Clip.from_packets("no source", [SILENCE])]
    await put_clips(hub, clips)
    await playing.fetch()
    assert playing.clips == clips
    assert playing.clips[1].packets == 200
    assert playing.clips[1].slice(3, 5) == clips[1].slice(3, 5)


async def test_what_is_there_is_not_fetched_again() -> None:
    hub = Hub()
    playing = Playing(hub)
    await put_clips(hub, clips_of(a=1, b=2))
    await playing.fetch()
    await playing.fetch()
    assert playing.cluster.blobs == 2
    old = playing.clips
    await put_clips(hub, [*clips_of(new=3), old[1].called("renamed"), *clips_of(same=1)])
    await playing.fetch()
    assert playing.cluster.blobs == 3
    assert [clip.name for clip in playing.clips] == ["new", "renamed", "same"]
    assert playing.clips[1].frames is old[1].frames


async def test_clips_that_change_while_they_are_fetched_are_the_newest_in_the_end() -> None:
    hub = Hub()
    playing = Playing(hub)
    await put_clips(hub, clips_of(a=1))
    newest = clips_of(b=2)

    async def document(key: str) -> Document:
        found = hub.document(key)
        if found.version == 1:
            await put_clips(hub, newest)
        return found

    playing.cluster.document = document  # type: ignore[method-assign]
    await playing.fetch()
    assert playing.clips == newest
