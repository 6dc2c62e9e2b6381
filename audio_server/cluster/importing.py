"""The state of a server brought into a cluster, once: names, tags, modes, tokens, clips, groups and
the devices that were seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip_reader import Loaded
from audio_server.cluster.clip_store import KEY, ClipStore, listed_of
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.group_store import KEY as GROUPS
from audio_server.cluster.group_store import GroupState, GroupStore
from audio_server.cluster.inventory import put_seen
from audio_server.cluster.link import Session
from audio_server.cluster.records import AT_ONCE, SharedRecords
from audio_server.cluster.scripts import IMPORT_MODE
from audio_server.device.entry import Entry
from audio_server.groups.overrides import Overrides
from audio_server.identity.tokens import Enrolment


class Occupied(Exception):
    """The cluster has records, clips or groups already."""


@dataclass(frozen=True, slots=True)
class Brought:
    """The state of a server. Everything is by device, but for the clips, the groups, and the clips
    of the folders that those name."""

    names: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, Enrolment] = field(default_factory=dict)
    clips: Sequence[Loaded] = ()
    entries: Mapping[str, Entry | None] = field(default_factory=dict)
    """The facts of devices that were ever seen."""
    groups: Mapping[str, Overrides] = field(default_factory=dict)
    folders: Mapping[str, Sequence[Loaded]] = field(default_factory=dict)


class Imported(NamedTuple):
    """How much was written. Modes of devices that are connected, or have one, are left out, and so
    are devices for which the inventory has no room."""

    names: int
    tags: int
    modes: int
    tokens: int
    clips: int
    devices: int
    """In the inventory."""

    groups: int


async def bring(session: Session, brought: Brought, cache: Cache, *, is_again: bool) -> Imported:
    """Write a server's state into the engine, over what is there if it `is_again`.

    Raises `Occupied`, with nothing written, `ClipTooLarge`, and `ClusterDown`, where some of it may
    be written; to do it again is safe. A cancel is as a fault.
    """
    records, documents = SharedRecords(), EngineDocuments()
    with records.using(session), documents.using(session):
        before = await documents.document(KEY)
        groups = await documents.document(GROUPS)
        has_some = before.version or groups.version or await records.has_some(session)
        if has_some and not is_again:
            raise Occupied
        if brought.clips:
            listed = await trio.to_thread.run_sync(listed_of, brought.clips)
            await ClipStore(documents, cache).put(listed, before.version)
        if brought.groups:
            state = await trio.to_thread.run_sync(_state_of, brought)
            await GroupStore(documents, cache).put(state, groups.version)
        await _each(_records_of(records, brought))
        modes = _Modes(session, is_again)
        await _each((modes.put, device_id, mode) for device_id, mode in brought.modes.items())
        seen = _Seen(session)
        await _each((seen.put, *one) for one in brought.entries.items() if one[1] is not None)
    names, tags = len(brought.names), len(brought.tags)
    counts = len(brought.tokens), len(brought.clips), seen.written, len(brought.groups)
    return Imported(names, tags, modes.written, *counts)


def _state_of(brought: Brought) -> GroupState:
    folders = {path: listed_of(loaded) for path, loaded in brought.folders.items()}
    return GroupState(brought.groups, folders)


def _records_of(records: SharedRecords, brought: Brought) -> Iterable[tuple[Any, ...]]:
    for device_id in dict.fromkeys([*brought.names, *brought.tags, *brought.tokens]):
        facts = (
            brought.names.get(device_id),
            tuple(brought.tags.get(device_id, ())),
            brought.tokens.get(device_id),
        )
        yield (records.put, device_id, *facts)


class _Seen:
    def __init__(self, session: Session) -> None:
        self.written = 0
        self._session = session

    async def put(self, device_id: str, entry: Entry) -> None:
        """Add the facts of a device: another server may have brought it, too."""
        if await put_seen(self._session, device_id, entry, how="over") == "done":
            self.written += 1


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
