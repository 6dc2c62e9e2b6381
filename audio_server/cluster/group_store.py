"""The groups of a cluster as a document, with the clips of their folders as blobs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

import msgspec
import trio

from audio_server.clips.cache import Cache
from audio_server.clips.errors import ClipTooLarge
from audio_server.clips.listing_ops import Listed
from audio_server.cluster.clip_store import ClipStore, Entry, blobs_of, entries_of
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import Document
from audio_server.groups.overrides import Overrides

KEY = "groups"

DOCUMENT_MAX_BYTES = 1024 * 1024
"""Of the document without the sound: about 7,000 clips of all groups."""

WHAT = "groups of a cluster"


class _Document(msgspec.Struct, frozen=True, array_like=True):
    groups: dict[str, Overrides]
    folders: dict[str, list[Entry]]


_Find: TypeAlias = Callable[[list[Entry], Sequence[Listed]], Awaitable[list[Listed]]]


@dataclass(frozen=True, slots=True)
class GroupState:
    """The settings of groups, and the clips of each folder that they name."""

    groups: Mapping[str, Overrides] = field(default_factory=dict)
    folders: Mapping[str, Sequence[Listed]] = field(default_factory=dict)

    @property
    def listed(self) -> list[Listed]:
        """All clips of all folders."""
        return [one for listed in self.folders.values() for one in listed]


class GroupStore:
    """The groups in `documents`. Clips that were fetched once are read from `cache`, where the last
    document of `cluster` is kept, too."""

    def __init__(self, documents: EngineDocuments, cache: Cache, cluster: str = "") -> None:
        self._documents = documents
        self._cache = cache
        self._clips = ClipStore(documents, cache)
        self._file = f"{sha256(cluster.encode()).hexdigest()}.groups"

    async def put(self, state: GroupState, before: int) -> Document:
        """Put groups in the place of version `before`, and return the document.

        Raises `ClipTooLarge` for clips that are too many or too large together, `Conflict` and
        `ClusterDown`.
        """
        blobs = blobs_of(WHAT, state.listed)
        folders = {path: entries_of(listed) for path, listed in state.folders.items()}
        data = msgspec.msgpack.encode(_Document(dict(state.groups), folders))
        if len(data) > DOCUMENT_MAX_BYTES:
            raise ClipTooLarge(WHAT, "all together would have too many clips")
        return Document(await self._documents.put_document(KEY, before, data, blobs), data)

    async def fetch(self, document: Document, here: Sequence[Listed]) -> GroupState:
        """Return the groups of a document; clips that are `here` are not fetched.

        Raises `KeyError` for a clip that is missing, `ClusterDown`, and `msgspec.MsgspecError` for
        a document of another kind.
        """
        return await self._state_of(document.data, here, self._clips.fetch_each)

    def keep(self, document: Document, state: GroupState) -> None:
        """Keep a document and its clips for `last`. Takes a while."""
        self._clips.keep_each(state.listed)
        self._cache.write(self._file, document.data)

    async def last(self, here: Sequence[Listed]) -> GroupState:
        """Return the groups of the last document that was kept, of whose clips some may be `here`.

        Raises `KeyError` where there is none or a clip of it is missing, and
        `msgspec.MsgspecError`.
        """
        data = await trio.to_thread.run_sync(self._cache.read, self._file)
        if data is None:
            raise KeyError(self._file)
        return await self._state_of(data, here, self._clips.cached_each)

    async def _state_of(self, data: bytes, here: Sequence[Listed], find: _Find) -> GroupState:
        told = msgspec.msgpack.decode(data, type=_Document)
        folders: dict[str, list[Listed]] = {}
        known = list(here)
        for path, entries in told.folders.items():
            folders[path] = await find(entries, known)
            known += folders[path]
        return GroupState(told.groups, folders)
