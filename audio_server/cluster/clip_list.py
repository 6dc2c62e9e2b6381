"""The clips of all nodes: a document that lists them, and a blob with the frames of each.

The process that prepares clips puts them; other nodes fetch those that they do not have, part by
part, and then play the new list as one change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec
import trio

from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import Source
from audio_server.cluster.interface import Documents
from audio_server.cluster.local import Hub

KEY = "clips"


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """A clip in a document."""

    name: str
    sha: str
    sound_bytes: int
    source: Source | None


async def put_clips(hub: Hub, clips: Sequence[Clip]) -> None:
    """Put the clips, in place of those before. A cancel changes nothing."""
    entries = await listed(clips)
    hub.put_document(KEY, msgspec.msgpack.encode(entries), blobs_of(entries, clips))


async def listed(clips: Sequence[Clip]) -> list[Listed]:
    """Return an entry for each clip; it is hashed in a thread."""
    shas = await trio.to_thread.run_sync(_hash, clips)
    return [
        Listed(clip.name, sha, clip.sound_bytes, clip.source)
        for clip, sha in zip(clips, shas, strict=True)
    ]


def blobs_of(entries: Iterable[Listed], clips: Iterable[Clip]) -> dict[str, bytes]:
    """Return the blobs that the entries of clips name."""
    return {one.sha: clip.frames for one, clip in zip(entries, clips, strict=True)}


def _hash(clips: Sequence[Clip]) -> list[str]:
    return [sha256(clip.frames).hexdigest() for clip in clips]


class Sounds:
    """The clips that a node has fetched, by SHA-256: each is in memory once, whichever documents
    name it."""

    def __init__(self, cluster: Documents) -> None:
        self._cluster = cluster
        self._held: dict[str, Mapping[str, Clip]] = {}

    async def fetch(self, entries: Iterable[Listed]) -> Mapping[str, Clip]:
        """Return the clips of entries. Raises `ClusterDown`, and `KeyError` for a blob that is
        gone."""
        found: dict[str, Clip] = {}
        for one in entries:
            found[one.sha] = found.get(one.sha) or self._known(one.sha) or await self._clip(one)
        return found

    def hold(self, key: str, clips: Mapping[str, Clip]) -> None:
        """Keep the clips of a document, in the place of those that it had."""
        self._held[key] = clips

    def _known(self, sha: str) -> Clip | None:
        return next((clips[sha] for clips in self._held.values() if sha in clips), None)

    async def _clip(self, entry: Listed) -> Clip:
        frames = await self._cluster.blob(entry.sha)
        return await trio.to_thread.run_sync(
            Clip.from_frames, entry.name, frames, entry.source, entry.sound_bytes
        )


def clips_of(entries: Iterable[Listed], clips: Mapping[str, Clip]) -> list[Clip]:
    """Return the clips of entries by the names that those have."""
    return [replace(clips[one.sha], name=one.name, source=one.source) for one in entries]


class ClipList:
    """The clips of a node. `use` is called with each new list, from the second one on."""

    def __init__(self, cluster: Documents, sounds: Sounds | None = None) -> None:
        self._cluster = cluster
        self._version = 0
        self._sounds = sounds or Sounds(cluster)
        self._turn = trio.Lock()

    async def fetch(self, use: Callable[[Sequence[Clip]], None]) -> None:
        """Have `use` called with the newest clips, unless they are in use. Raises `ClusterDown`."""
        async with self._turn:
            while (document := await self._cluster.document(KEY)).version > self._version:
                entries = msgspec.msgpack.decode(document.data, type=list[Listed])
                try:
                    clips = await self._sounds.fetch(entries)
                except KeyError:
                    continue  # it was replaced meanwhile
                use(clips_of(entries, clips))
                self._sounds.hold(KEY, clips)
                self._version = document.version
