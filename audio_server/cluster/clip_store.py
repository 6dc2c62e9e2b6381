"""The list of a cluster's clips as a document, and their frames as blobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import sha256

import msgspec
import trio

from audio_server.clips.cache import FORMAT, Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.encoded_clip import EncodedClip, Source
from audio_server.clips.errors import ClipTooLarge, as_text
from audio_server.clips.listing_ops import Listed, named
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import Document

KEY = "clips"

ALL_MAX_BYTES = 256 * 1024 * 1024
"""Of the frames of all clips: about nine hours of sound."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A clip in a document."""

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
        blobs = blobs_of("clips of a cluster", listed)
        data = msgspec.msgpack.encode(entries_of(listed))
        return Document(await self._documents.put_document(KEY, before, data, blobs), data)

    async def fetch(self, document: Document, here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of a document; those that are `here` are not fetched.

        Raises `KeyError` for one that is missing, `ClusterDown`, and `msgspec.MsgspecError` for a
        document of another kind.
        """
        entries = msgspec.msgpack.decode(document.data, type=list[Entry])
        return await self.fetch_each(entries, here)

    async def fetch_each(self, entries: Iterable[Entry], here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of entries, as `fetch`."""
        return await self._listed(entries, here, self._fetch_clip)

    def keep(self, document: Document, listed: Sequence[Listed]) -> None:
        """Keep a document and its clips for `last`. Takes a while."""
        self.keep_each(listed)
        self._cache.write(self._list, document.data)

    def keep_each(self, listed: Iterable[Listed]) -> None:
        """Keep clips for `cached_each`. Takes a while."""
        for one in listed:
            self._keep(one.sha, one.clip)

    async def last(self, here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of the last document that was kept, of which some may be `here`.

        Raises `KeyError` where there is none or a clip of it is missing, and
        `msgspec.MsgspecError`.
        """
        data = await trio.to_thread.run_sync(self._cache.read, self._list)
        if data is None:
            raise KeyError(self._list)
        entries = msgspec.msgpack.decode(data, type=list[Entry])
        return await self.cached_each(entries, here)

    async def cached_each(self, entries: Iterable[Entry], here: Sequence[Listed]) -> list[Listed]:
        """Return the clips of entries without the engine. Raises `KeyError`."""
        return await self._listed(entries, here, self._cached_clip)

    async def _listed(
        self,
        entries: Iterable[Entry],
        here: Sequence[Listed],
        find: Callable[[Entry], Awaitable[Clip]],
    ) -> list[Listed]:
        """Return the clips of a list, each from `here` or else as `find` finds it."""
        known = {one.sha: one.clip for one in here}
        listed = []
        for entry in entries:
            if (clip := known.get(entry.sha)) is None:
                clip = known[entry.sha] = await find(entry)
            clip = await trio.to_thread.run_sync(named, clip, entry.file)
            listed.append(Listed(entry.file, entry.sha, clip))
        return listed

    async def _cached_clip(self, entry: Entry) -> Clip:
        """Return a clip that is cached. Raises `KeyError`."""
        clip = await trio.to_thread.run_sync(self._look_up, entry)
        if clip is None:
            raise KeyError(entry.file)
        return clip

    async def _fetch_clip(self, entry: Entry) -> Clip:
        """Return a clip, cached or fetched. Raises `KeyError`."""
        try:
            return await self._cached_clip(entry)
        except KeyError:
            frames = await self._documents.blob(entry.sha)
        args = entry.file, frames, entry.source, entry.sound_bytes
        clip = await trio.to_thread.run_sync(Clip.from_frames, *args)
        await trio.to_thread.run_sync(self._keep, entry.sha, clip)
        return clip

    def _look_up(self, entry: Entry) -> Clip | None:
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


def entries_of(listed: Iterable[Listed]) -> list[Entry]:
    """Return the entries that clips have in a document."""
    return [Entry(one.file, one.sha, one.clip.sound_bytes, one.clip.source) for one in listed]


def blobs_of(what: str, listed: Iterable[Listed]) -> dict[str, bytes]:
    """Return the frames of clips by their hash. Raises `ClipTooLarge` for more than a document may
    name."""
    blobs = {one.sha: one.clip.frames for one in listed}
    if sum(map(len, blobs.values())) > ALL_MAX_BYTES:
        reason = f"all together would have more than {ALL_MAX_BYTES >> 20} MiB"
        raise ClipTooLarge(what, reason)
    return blobs


def loaded_of(listed: Iterable[Listed]) -> list[Loaded]:
    """Return clips as a repository has them."""
    return [Loaded(one.file, key_of(one.sha), one.clip) for one in listed]


def listed_of(loaded: Iterable[Loaded]) -> list[Listed]:
    """Return clips with the hashes of their frames. Takes a while."""
    return [
        Listed(as_text(one.file), sha256(one.clip.frames).hexdigest(), one.clip) for one in loaded
    ]


def key_of(sha: str) -> str:
    """Return the key in a cache of the clip with frames of that hash."""
    return f"{sha}-{FORMAT}"


def clip_of(file: str, encoded: EncodedClip) -> tuple[Clip, str]:
    """Return a clip, and the hash of its frames. Takes a while."""
    clip = Clip.from_packets(file, encoded.packets, encoded.source)
    return clip, sha256(clip.frames).hexdigest()
