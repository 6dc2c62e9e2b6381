"""The groups of a cluster: a document with their settings, and the clips of their folders.

A change at a node is made of the newest document, which another node must not have replaced
meanwhile; the others hear of it and take it over. A folder that a change names is read at the node
that is asked, once: from then on its clips are those of the document, under its path, and no node
reads or writes it. The tables of a settings file are those of each node alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import structlog
import trio
from msgspec import structs

from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipsChanged, ClipsFixed
from audio_server.clips.listing_ops import Listed
from audio_server.clips.repository import Repository
from audio_server.cluster.clip_store import listed_of, loaded_of
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.followed_document import FollowedDocument
from audio_server.cluster.group_store import KEY, GroupState, GroupStore
from audio_server.cluster.interface import ClusterDown, ClusterSlow, Conflict, Document
from audio_server.cluster.listed_clips import ListedClips, Missing, explained
from audio_server.groups.folders import Folders
from audio_server.groups.groups import Groups
from audio_server.groups.interface import FolderClips, GroupRefused, GroupsUnavailable, Tags
from audio_server.groups.overrides import NONE, Overrides
from audio_server.groups.repositories import FOLDER, GroupRepositories
from audio_server.groups.tables import merged, paths_of

log = structlog.get_logger()

Change = Callable[[Sequence[Listed]], Sequence[Listed]]


class SharedGroups(Groups):
    """`Groups` of which those of the API are a cluster's, in `documents`. Changes raise
    `GroupsUnavailable` while the cluster cannot keep them. A node that begins without the engine
    has the groups that `cluster`, named as in the settings, had last."""

    def __init__(
        self,
        tags: Tags,
        folders: Folders,
        documents: EngineDocuments,
        *,
        cluster: str,
        fleet: Repository,
        config: Path | None = None,
        roots: Callable[[], Sequence[Path]] = lambda: (),
    ) -> None:
        super().__init__(tags, folders, config=config, roots=roots, fleet=fleet)
        self.repositories = _Repositories(self, fleet, documents)
        self._fleet = fleet
        self._documents = documents
        self._store = GroupStore(documents, fleet.cache, cluster)
        self._followed = FollowedDocument(documents, KEY, "groups", self._keep_up, self._take_last)
        self._state = GroupState()

    # -- following

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with the cluster for the block: see `FollowedDocument.at_work`."""
        async with self._followed.at_work():
            yield

    async def _keep_up(self) -> None:
        async with self._change:
            await self._adopt_or_restore()

    async def _take_last(self) -> None:
        """Have the groups that the cluster had when it was last reached."""
        async with self._change:
            if self._followed.here.version:
                return  # they have come meanwhile
            try:
                state = await self._store.last(await self._here())
            except (KeyError, msgspec.MsgspecError):
                log.warning("groups of the cluster not known here")
                return
            await self._install(state, self._followed.here)
            log.info("groups taken that the cluster had last", groups=len(state.groups))

    async def _adopt_or_restore(self) -> None:
        """Have the groups of the document. An engine that has lost it gets it back from a node that
        has had it."""
        while not await self._adopt() and self._followed.here.version:
            try:
                self._followed.here = await self._store.put(self._state, 0)
            except Conflict:
                continue  # another node was first
            log.info("groups put into the cluster", groups=len(self._state.groups))
            return

    async def _adopt(self) -> bool:
        """Have the groups of the document; return whether there is one."""
        return await self._followed.adopt(self._take_document)

    async def _take_document(self, document: Document) -> None:
        state = await self._store.fetch(document, await self._here())
        await self._install(state, document)
        log.info("groups of the cluster taken", groups=len(state.groups))

    async def _here(self) -> list[Listed]:
        """Return clips that need not be fetched: those of groups and of all devices."""
        fleet = await trio.to_thread.run_sync(listed_of, self._fleet.loaded)
        return [*self._state.listed, *fleet]

    async def _install(
        self, state: GroupState, document: Document, read: FolderClips | None = None
    ) -> None:
        self._state, self._followed.here = state, document
        self._kept = state.groups
        tables = merged(self._in_file, state.groups)
        own = {**self._folders.in_force(paths_of(self._in_file)), **(read or {})}
        self._take(self._in_file, tables, {**own, **self._loaded()})
        await self._takers.take()
        if document.version:
            await trio.to_thread.run_sync(self._store.keep, document, state)

    def _loaded(self) -> dict[str, Sequence[Loaded]]:
        """Return the folders of the document. One that a settings file names, too, is there."""
        return {path: loaded_of(listed) for path, listed in self._state.folders.items()}

    # -- changes

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[None]:
        with _explained():
            async with self._change:
                await self._adopt_or_restore()
                yield

    def _known(self) -> Set[str]:
        return self._state.folders.keys()

    async def _read_kept(self, paths: Collection[str]) -> FolderClips:
        return self._loaded()

    async def _keep(self, kept: Mapping[str, Overrides], read: FolderClips) -> None:
        paths = {one.clips for one in kept.values() if one.clips is not None}
        folders: dict[str, Sequence[Listed]] = {}
        for path in paths:
            if (listed := self._state.folders.get(path)) is None:
                loaded = read.get(path) or self.loaded_in(path)
                listed = await trio.to_thread.run_sync(listed_of, loaded)
            folders[path] = listed
        state, document = GroupState(kept, folders), self._followed.here
        if state != self._state:
            document = await self._store.put(state, self._followed.here.version)
        own = paths_of(self._in_file)
        here = {path: loaded for path, loaded in read.items() if path in own}
        await self._install(state, document, here)

    async def alter_clips(self, name: str | None, path: str | None, change: Change) -> str:
        """Change the clips of a folder of the document, or those of all devices for a group without
        a folder, which has them from then on; return the folder. Raises as `ListedClips`."""
        with explained():
            async with self._change:
                await self._adopt_or_restore()
                groups = dict(self._state.groups)
                if path is None and name is not None and not self.is_in_file(name):
                    path = groups.get(name, NONE).clips
                before = self._state.folders.get(path or "")
                if before is None and path is not None:
                    raise ClipsChanged(path, "another node has removed the folder meanwhile")
                if before is None:
                    before = await trio.to_thread.run_sync(listed_of, self._fleet.loaded)
                listed = await trio.to_thread.run_sync(change, before)
                if path is None:
                    assert name is not None
                    path = self._new_folder(name)
                    groups[name] = structs.replace(groups.get(name, NONE), clips=path)
                state = GroupState(groups, {**self._state.folders, path: listed})
                document = await self._store.put(state, self._followed.here.version)
                await self._install(state, document)
                return path

    def _new_folder(self, name: str) -> str:
        """Return the path under which the document has the clips of a group."""
        if (reason := self.why_no_folder(name)) is not None:
            raise ClipsFixed(name, reason)
        numbers = range(2, len(self._state.folders) + 3)
        paths = (f"{FOLDER}/{name}", *(f"{FOLDER}/{name}-{number}" for number in numbers))
        return next(path for path in paths if path not in self._state.folders)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error of the cluster into one of groups."""
    try:
        yield
    except Conflict:
        reason = "another node has changed the groups meanwhile; look at them, and try again"
        raise GroupRefused(reason) from None
    except ClusterSlow:
        reason = "groups: the cluster does not answer: the change may still be made"
        raise GroupsUnavailable(reason) from None
    except ClusterDown:
        reason = "groups: the cluster is down: nothing has changed; try again"
        raise GroupsUnavailable(reason) from None
    except Missing as error:
        raise GroupsUnavailable(f"groups: {error}") from None


class _Repositories(GroupRepositories):
    """Clips of groups that are in the document; those of tables are in folders of this node."""

    def __init__(self, groups: SharedGroups, fleet: Repository, documents: EngineDocuments) -> None:
        super().__init__(groups, fleet, None)
        self._groups = groups
        self._fleet_clips = fleet
        self._documents = documents
        self._of_document: WeakValueDictionary[str, _GroupClips] = WeakValueDictionary()
        self._of_names: WeakValueDictionary[str, _GroupClips] = WeakValueDictionary()

    async def _in(self, path: str) -> Repository:
        if path not in self._groups._known():
            return await super()._in(path)
        if (found := self._of_document.get(path)) is None:
            made = _GroupClips(self._groups, self._fleet_clips, self._documents, path=path)
            found = self._of_document[path] = made
        return await self._prepared(found, self._groups.loaded_in(path))

    async def _new(self, name: str) -> Repository:
        if (found := self._of_names.get(name)) is None:
            made = _GroupClips(self._groups, self._fleet_clips, self._documents, name=name)
            found = self._of_names[name] = made
        return await self._prepared(found, self._fleet_clips.loaded)


class _GroupClips(ListedClips):
    """The clips of a folder of the document, or of a group without one."""

    def __init__(
        self,
        groups: SharedGroups,
        fleet: Repository,
        documents: EngineDocuments,
        *,
        name: str | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(fleet.folder, fleet.cache, [], beside=fleet)
        self.share(lambda: fleet.in_use)
        self._groups = groups
        self._documents = documents
        self._name = name
        self._path = path

    @property
    def is_own(self) -> bool:
        """Whether the group has a folder."""
        return self._path is not None or self._groups.folder_of(self._name or "") is not None

    async def look(self) -> None:
        """Find out whether anything can be changed here."""
        is_new = self._path is None and self._name is not None
        self.fixed_because = self._groups.why_no_folder(self._name or "") if is_new else None

    async def reload(self) -> None:
        """Have the newest clips of the cluster."""

    def _is_up(self) -> bool:
        return self._documents.is_up

    async def _alter(self, change: Change) -> Sequence[Listed]:
        changed: list[Sequence[Listed]] = []

        def noted(before: Sequence[Listed]) -> Sequence[Listed]:
            changed.append(change(before))
            return changed[-1]

        path = await self._groups.alter_clips(self._name, self._path, noted)
        await self.refresh(self._groups.loaded_in(path))
        return changed[-1]
