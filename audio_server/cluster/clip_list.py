"""The clips of all nodes: a document that lists them, and a blob with the frames of each.

The process that prepares clips puts them; other nodes fetch those that they do not have, part by
part, and then play the new list as one change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

import msgspec
import trio

from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import Source
from audio_server.cluster.interface import Documents
from audio_server.cluster.local import Hub

KEY = "clips"


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    name: str
    sha: str
    sound_bytes: int
    source: Source | None


async def put_clips(hub: Hub, clips: Sequence[Clip]) -> None:
    """Put the clips, in place of those before. A cancel changes nothing."""
    shas = await trio.to_thread.run_sync(_hash, clips)
    entries = [
        _Entry(clip.name, sha, clip.sound_bytes, clip.source)
        for clip, sha in zip(clips, shas, strict=True)
    ]
    blobs = {sha: clip.frames for sha, clip in zip(shas, clips, strict=True)}
    hub.put_document(KEY, msgspec.msgpack.encode(entries), blobs)


def _hash(clips: Sequence[Clip]) -> list[str]:
    return [sha256(clip.frames).hexdigest() for clip in clips]


class ClipList:
    """The clips of a node. `use` is called with each new list, from the second one on."""

    def __init__(self, cluster: Documents) -> None:
        self._cluster = cluster
        self._version = 0
        self._clips: Mapping[str, Clip] = {}
        self._turn = trio.Lock()

    async def fetch(self, use: Callable[[Sequence[Clip]], None]) -> None:
        """Have `use` called with the newest clips, unless they are in use. Raises `ClusterDown`."""
        async with self._turn:
            while (document := await self._cluster.document(KEY)).version > self._version:
                entries = msgspec.msgpack.decode(document.data, type=list[_Entry])
                try:
                    clips = {one.sha: await self._clip(one) for one in entries}
                except KeyError:
                    continue  # it was replaced meanwhile
                use([replace(clips[e.sha], name=e.name, source=e.source) for e in entries])
                self._version, self._clips = document.version, clips

    async def _clip(self, entry: _Entry) -> Clip:
        if (clip := self._clips.get(entry.sha)) is not None:
            return clip
        frames = await self._cluster.blob(entry.sha)
        return await trio.to_thread.run_sync(
            Clip.from_frames, entry.name, frames, entry.source, entry.sound_bytes
        )
