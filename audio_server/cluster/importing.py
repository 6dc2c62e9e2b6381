"""The state of a server brought into a cluster: names, tags, modes, tokens and clips, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip_reader import Loaded
from audio_server.cluster.clip_store import KEY, ClipStore
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.link import Session
from audio_server.cluster.records import AT_ONCE, SharedRecords
from audio_server.cluster.scripts import IMPORT_MODE
from audio_server.cluster.shared_clips import listed_of
from audio_server.identity.tokens import Enrolment


class Occupied(Exception):
    """The cluster has records or clips already."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The state of a server. Everything is by device, but for the clips."""

    names: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, Enrolment] = field(default_factory=dict)
    clips: Sequence[Loaded] = ()


class Imported(NamedTuple):
    """How much was written. Modes of devices that are connected, or have one, are left out."""

    names: int
    tags: int
    modes: int
    tokens: int
    clips: int


async def bring(session: Session, brought: Brought, cache: Cache, *, is_again: bool) -> Imported:
    """Write a server's state into the engine, over what is there if it `is_again`.

    Raises `Occupied`, with nothing written, `ClipTooLarge`, and `ClusterDown`, where some of it may
    be written; to do it again is safe. A cancel is as a fault.
    """
    records, documents = SharedRecords(), EngineDocuments()
    with records.using(session), documents.using(session):
        before = await documents.document(KEY)
        if not is_again and (before.version or await records.has_some(session)):
            raise Occupied
        if brought.clips:
            listed = await trio.to_thread.run_sync(listed_of, brought.clips)
            await ClipStore(documents, cache).put(listed, before.version)
        await _each(_records_of(records, brought))
        modes = _Modes(session, is_again)
        await _each((modes.put, device_id, mode) for device_id, mode in brought.modes.items())
    names, tags = len(brought.names), len(brought.tags)
    return Imported(names, tags, modes.written, len(brought.tokens), len(brought.clips))


def _records_of(records: SharedRecords, brought: Brought) -> Iterable[tuple[Any, ...]]:
    for device_id in dict.fromkeys([*brought.names, *brought.tags, *brought.tokens]):
        facts = (
            brought.names.get(device_id),
            tuple(brought.tags.get(device_id, ())),
            brought.tokens.get(device_id),
        )
        yield (records.put, device_id, *facts)


class _Modes:
    def __init__(self, session: Session, is_again: bool) -> None:
        self.written = 0
        self._session = session
        self._is_again = is_again

    async def put(self, device_id: str, mode: int) -> None:
        args = f"as:d:{device_id}", mode, int(self._is_again)
        if (await self._session.call(IMPORT_MODE, *args))[0] == "done":
            self.written += 1


async def _each(works: Iterable[tuple[Any, ...]]) -> None:
    """Do all of it, a few at a time: each is an async function and its arguments."""
    left = iter(works)
    while batch := list(islice(left, AT_ONCE)):
        async with trio.open_nursery() as nursery:
            for do, *args in batch:
                nursery.start_soon(do, *args)
