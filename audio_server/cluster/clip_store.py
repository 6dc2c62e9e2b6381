"""The list of a cluster's clips as a document, and their frames as blobs."""

from __future__ import annotations

from collections.abc import Sequence
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
    """The clips in `documents`. Those that were fetched once are read from `cache`."""

    def __init__(self, documents: EngineDocuments, cache: Cache) -> None:
        self._documents = documents
        self._cache = cache

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
        known = {one.sha: one.clip for one in here}
        listed = []
        for entry in msgspec.msgpack.decode(document.data, type=list[_Entry]):
            if (clip := known.get(entry.sha)) is None:
                clip = known[entry.sha] = await self._fetch_clip(entry)
            clip = await trio.to_thread.run_sync(named, clip, entry.file)
            listed.append(Listed(entry.file, entry.sha, clip))
        return listed

    async def _fetch_clip(self, entry: _Entry) -> Clip:
        """Return a clip, cached or fetched. Raises `KeyError`."""
        clip = await trio.to_thread.run_sync(self._look_up, entry)
        if clip is None:
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
        return clip if sha == entry.sha else None

    def _keep(self, sha: str, clip: Clip) -> None:
        if clip.source is not None:
            self._cache.put(key_of(sha), EncodedClip(list(clip.sound()), clip.source))


def key_of(sha: str) -> str:
    """Return the key in a cache of the clip with frames of that hash."""
    return f"{sha}-{FORMAT}"


def clip_of(file: str, encoded: EncodedClip) -> tuple[Clip, str]:
    """Return a clip, and the hash of its frames. Takes a while."""
    clip = Clip.from_packets(file, encoded.packets, encoded.source)
    return clip, sha256(clip.frames).hexdigest()
