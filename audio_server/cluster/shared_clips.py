"""The clips of a cluster: a document that lists them, and a blob with the frames of each.

The first node puts the clips of its folder, and from then on the document counts: a node that
begins plays its clips, not those of its own folder. A change is made of the newest document, which
another node must not have replaced meanwhile. Nodes that hear of it fetch what they lack, after a
pause by chance so that they do not all come at once, and then play the new list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.listing_ops import Listed
from audio_server.clips.upload import UPLOAD_MAX_MIB
from audio_server.cluster.clip_store import KEY, ClipStore, key_of, listed_of, loaded_of
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.followed_document import FollowedDocument
from audio_server.cluster.interface import Conflict, Document
from audio_server.cluster.listed_clips import ListedClips, explained

PUBLISH_S = 1.5
"""How long a node that does not play the clips of the cluster leaves it to others to put theirs: an
engine that has lost them gets them back from a node that plays them."""

log = structlog.get_logger()


class SharedClips(ListedClips):
    """A `Repository` whose clips are those of `cluster`; until it has them, those that it had last,
    or else those of a folder.

    Changes raise `ClipsUnavailable` while the cluster cannot keep them, and `ClipsChanged` where
    another node was faster.
    """

    def __init__(
        self,
        folder: Path,
        cache: Cache,
        loaded: Sequence[Loaded],
        documents: EngineDocuments,
        *,
        cluster: str,
        max_bytes: int = UPLOAD_MAX_MIB << 20,
    ) -> None:
        super().__init__(folder, cache, loaded, max_bytes=max_bytes)
        self._documents = documents
        self._store = ClipStore(documents, cache, cluster)
        self._followed = FollowedDocument(documents, KEY, "clips", self._keep_up, self._play_last)
        self._listed: Sequence[Listed] | None = None
        self._are_of_cluster = False

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with the cluster for the block: see `FollowedDocument.at_work`."""
        async with self._followed.at_work():
            yield

    # -- following

    async def _keep_up(self) -> None:
        """Play the newest clips, or put those in force where there are none."""
        async with self._change:
            if await self._adopt():
                return
        self._followed.begin()
        if not self._are_of_cluster:
            await trio.sleep(PUBLISH_S)
        async with self._change:
            await self._adopt_or_publish()

    async def _play_last(self) -> None:
        """Play the clips that the cluster had when it was last reached."""
        async with self._change:
            if self._followed.here.version:
                return  # they have come meanwhile
            try:
                listed = await self._store.last(await self._here())
            except (KeyError, msgspec.MsgspecError):
                log.warning("clips of the cluster not known here", plays="the folder")
                return
            await self._show_listed(listed)
            log.info("clips taken that the cluster had last", clips=len(listed))

    async def _adopt_or_publish(self) -> None:
        while not await self._adopt():
            try:
                await self._put(await self._here(), before=Document(0, b""))
            except Conflict:
                continue  # another node was first
            log.info("clips put into the cluster", clips=len(self.clips))
            return

    async def _adopt(self) -> bool:
        """Play the clips of the document; return whether there is one."""
        return await self._followed.adopt(self._take)

    async def _take(self, document: Document) -> None:
        listed = await self._store.fetch(document, await self._here())
        await self._play(listed, document)
        log.info("clips of the cluster taken", clips=len(listed), version=document.version)

    async def _here(self) -> Sequence[Listed]:
        """Return the clips in force."""
        if self._listed is None:
            self._listed = await trio.to_thread.run_sync(listed_of, self.loaded)
        return self._listed

    async def _play(self, listed: Sequence[Listed], document: Document) -> None:
        """Play the clips of a document, and keep them for a start without the engine."""
        await self._show_listed(listed)
        self._followed.here = document
        await trio.to_thread.run_sync(self._store.keep, document, listed)
        keys = {key_of(one.sha) for one in listed} | {one.key for one in self._others()}
        await trio.to_thread.run_sync(self.cache.trim, keys)

    async def _show_listed(self, listed: Sequence[Listed]) -> None:
        await self._show(loaded_of(listed))
        self._listed, self._are_of_cluster = listed, True

    # -- changes

    async def reload(self) -> None:
        """Play the newest clips of the cluster; the folder is not read again."""
        with explained():
            async with self._change:
                await self._adopt_or_publish()

    def _is_up(self) -> bool:
        return self._documents.is_up

    async def _alter(
        self, change: Callable[[Sequence[Listed]], Sequence[Listed]]
    ) -> Sequence[Listed]:
        """Make a change of the newest clips, and play them."""
        with explained():
            async with self._change:
                await self._adopt_or_publish()
                before = await self._here()
                listed = await trio.to_thread.run_sync(change, before)
                await self._put(listed, before=self._followed.here)
                return listed

    async def _put(self, listed: Sequence[Listed], *, before: Document) -> None:
        """Put a list in the place of a version, and play it. Raises `Conflict`."""
        document = await self._store.put(listed, before.version)
        await self._play(listed, document)
