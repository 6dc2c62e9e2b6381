"""The list of a cluster's clips as a document, and their frames as blobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import msgspec
import trio

from audio_server.clips.cache import FORMAT, Cache
from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import EncodedClip, Source
from audio_server.clips.errors import ClipTooLarge
from audio_server.clips.listing_ops import Listed, named
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import Document

KEY = "clips"

ALL_MAX_BYTES = 256 * 1024 * 1024
"""Of the frames of all clips: about nine hours of sound."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    file: str
    sha: str
    sound_bytes: int
    source: Source | None


class ClipStore:
    """The clips in `documents`. Those that were fetched once are read from `cache`.

    The last list of `cluster`, named as in the settings, is kept there too, for a node that begins
    without the engine. Without a name there is only `put` and `fetch`.
    """

    def __init__(self, documents: EngineDocuments, cache: Cache, cluster: str = "") -> None:
        self._documents = documents
        self._cache = cache
        self._list = f"{sha256(cluster.encode()).hexdigest()}.list"
        self._cached: set[str] = set()

    async def put(self, listed: Sequence[Listed], before: int) -> Document:
        """Put a list in the place of version `before`, and return it.

        Raises `ClipTooLarge` for clips that are too large together, `Conflict` and `ClusterDown`.
        """
        blobs = {one.sha: one.clip.frames for one in listed}
        if sum(map(len, blobs.values())) > ALL_MAX_BYTES:
            reason = f"all together would have more than {ALL_MAX_BYTES >> 20} MiB"
            raise ClipTooLarge("clips of a cluster", reason)
        entries = [
            _Entry(one.file, one.sha, one.clip.sound_bytes, one.clip.source) for one in listed
        ]
        data = msgspec.msgpack.encode(entries)
        return Document(await self._documents.put_document(KEY, before, data, blobs), data)

    async def fetch(self, document: Document, here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of a document; those that are `here` are not fetched.

        Raises `KeyError` for one that is missing, `ClusterDown`, and `msgspec.MsgspecError` for a
        document of another kind.
        """
        return await self._listed(document.data, here, self._fetch_clip)

    def keep(self, document: Document, listed: Sequence[Listed]) -> None:
        """Keep a document and its clips for `last`. Takes a while."""
        for one in listed:
            self._keep(one.sha, one.clip)
        self._cache.write(self._list, document.data)

    async def last(self, here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of the last document that was kept, of which some may be `here`.

        Raises `KeyError` where there is none or a clip of it is missing, and
        `msgspec.MsgspecError`.
        """
        data = await trio.to_thread.run_sync(self._cache.read, self._list)
        if data is None:
            raise KeyError(self._list)
        return await self._listed(data, here, self._cached_clip)

    async def _listed(
        self, data: bytes, here: Sequence[Listed], find: Callable[[_Entry], Awaitable[Clip]]
    ) -> list[Listed]:
        """Return the clips of a list, each from `here` or else as `find` finds it."""
        known = {one.sha: one.clip for one in here}
        listed = []
        for entry in msgspec.msgpack.decode(data, type=list[_Entry]):
            if (clip := known.get(entry.sha)) is None:
                clip = known[entry.sha] = await find(entry)
            clip = await trio.to_thread.run_sync(named, clip, entry.file)
            listed.append(Listed(entry.file, entry.sha, clip))
        return listed

    async def _cached_clip(self, entry: _Entry) -> Clip:
        """Return a clip that is cached. Raises `KeyError`."""
        clip = await trio.to_thread.run_sync(self._look_up, entry)
        if clip is None:
            raise KeyError(entry.file)
        return clip

    async def _fetch_clip(self, entry: _Entry) -> Clip:
        """Return a clip, cached or fetched. Raises `KeyError`."""
        try:
            return await self._cached_clip(entry)
        except KeyError:
            frames = await self._documents.blob(entry.sha)
        args = entry.file, frames, entry.source, entry.sound_bytes
        clip = await trio.to_thread.run_sync(Clip.from_frames, *args)
        await trio.to_thread.run_sync(self._keep, entry.sha, clip)
        return clip

    def _look_up(self, entry: _Entry) -> Clip | None:
        encoded = self._cache.get(key_of(entry.sha))
        if encoded is None:
            return None
        clip, sha = clip_of(entry.file, encoded)
        if sha != entry.sha:
            return None
        self._cached.add(sha)
        return clip

    def _keep(self, sha: str, clip: Clip) -> None:
        if clip.source is not None and sha not in self._cached:
            self._cache.put(key_of(sha), EncodedClip(list(clip.sound()), clip.source))
            self._cached.add(sha)


def key_of(sha: str) -> str:
    """Return the key in a cache of the clip with frames of that hash."""
    return f"{sha}-{FORMAT}"


def clip_of(file: str, encoded: EncodedClip) -> tuple[Clip, str]:
    """Return a clip, and the hash of its frames. Takes a while."""
    clip = Clip.from_packets(file, encoded.packets, encoded.source)
    return clip, sha256(clip.frames).hexdigest()
