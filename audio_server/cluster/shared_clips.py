"""The clips of a cluster: a document that lists them, and a blob with the frames of each.

The first node puts the clips of its folder, and from then on the document counts: a node that
begins plays its clips, not those of its own folder. A change is made of the newest document, which
another node must not have replaced meanwhile. Nodes that hear of it fetch what they lack, after a
pause by chance so that they do not all come at once, and then play the new list.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
import trio

from audio_server.clips.cache import Cache
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipTooLarge
from audio_server.clips.listing_ops import Listed
from audio_server.clips.upload import UPLOAD_MAX_MIB
from audio_server.cluster.clip_store import KEY, ClipStore, key_of, listed_of, loaded_of
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import ClusterDown, ClusterSlow, Conflict, Document
from audio_server.cluster.listed_clips import ListedClips, Missing, explained

PAUSE_MAX_S = 2.0
"""How long a node may wait, by chance, before it fetches."""

START_S = 5.0
"""How long a node that begins waits for the clips of the cluster; then it plays its own."""

PUBLISH_S = 1.5
"""How long a node that does not play the clips of the cluster leaves it to others to put theirs: an
engine that has lost them gets them back from a node that plays them."""

SLOW_S = 1.0
"""Pause after which a node tries again whose clips the engine did not give in time."""

TRIES = 5
AGAIN_S = 0.2
"""How often clips are fetched that change meanwhile, and the pause between."""

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
        self._document = Document(0, b"")
        self._listed: Sequence[Listed] | None = None
        self._are_of_cluster = False
        self._news = trio.Event()
        self._has_begun = trio.Event()
        documents.follow(self._on_news)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with the cluster for the block, which begins with its clips if it can be reached
        within `START_S`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow)
            with trio.move_on_after(START_S) as patience:
                await self._has_begun.wait()
            if patience.cancelled_caught:
                await self._play_last()
            yield
            nursery.cancel_scope.cancel()

    # -- following

    def _on_news(self, key: str | None) -> None:
        if key in (None, KEY):
            self._news.set()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            if self._document.version:
                await trio.sleep(random.uniform(0, PAUSE_MAX_S))
            await self._keep_up()
            self._has_begun.set()

    async def _keep_up(self) -> None:
        """Play the newest clips. A fault is logged, and then the old clips stay."""
        try:
            async with self._change:
                if await self._adopt():
                    return
            self._has_begun.set()
            if not self._are_of_cluster:
                await trio.sleep(PUBLISH_S)
            async with self._change:
                await self._adopt_or_publish()
        except ClusterSlow:  # the session goes on, and may have no other news
            await trio.sleep(SLOW_S)
            self._news.set()
        except ClusterDown:
            return  # with the next session there is news
        except (ClipTooLarge, Missing, msgspec.MsgspecError) as error:
            log.error("clips of the cluster not taken", reason=str(error))
        except Exception:
            log.exception("clips of the cluster not taken")

    async def _play_last(self) -> None:
        """Play the clips that the cluster had when it was last reached."""
        async with self._change:
            if self._document.version:
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
        for number in range(TRIES):
            document = await self._documents.document(KEY)
            if document.version == 0:
                return False
            if document == self._document:
                return True
            try:
                listed = await self._store.fetch(document, await self._here())
            except KeyError:
                await trio.sleep(AGAIN_S * number)  # it was replaced meanwhile
                continue
            await self._play(listed, document)
            log.info("clips of the cluster taken", clips=len(listed), version=document.version)
            return True
        raise Missing("a clip is missing there: put it again, or remove it")

    async def _here(self) -> Sequence[Listed]:
        """Return the clips in force."""
        if self._listed is None:
            self._listed = await trio.to_thread.run_sync(listed_of, self.loaded)
        return self._listed

    async def _play(self, listed: Sequence[Listed], document: Document) -> None:
        """Play the clips of a document, and keep them for a start without the engine."""
        await self._show_listed(listed)
        self._document = document
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
                await self._put(listed, before=self._document)
                return listed

    async def _put(self, listed: Sequence[Listed], *, before: Document) -> None:
        """Put a list in the place of a version, and play it. Raises `Conflict`."""
        document = await self._store.put(listed, before.version)
        await self._play(listed, document)
