"""A document of a cluster that a node keeps up with, whatever it says.

Nodes that hear of a change fetch it after a pause by chance, so that they do not all come at once.
A node that begins without the engine goes on with the document that it had last.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import structlog
import trio

from audio_server.clips.errors import ClipTooLarge
from audio_server.cluster.engine_documents import EngineDocuments
from audio_server.cluster.interface import ClusterDown, ClusterSlow, Document
from audio_server.cluster.listed_clips import Missing

PAUSE_MAX_S = 2.0
"""How long a node may wait, by chance, before it fetches."""

START_S = 5.0
"""How long a node that begins waits for the document; then it goes on without."""

SLOW_S = 1.0
"""Pause after which a node tries again to which the engine did not answer in time."""

TRIES = 5
AGAIN_S = 0.2
"""How often a document is fetched that changes meanwhile, and the pause between."""

log = structlog.get_logger()


class FollowedDocument:
    """The document `key` of `documents`, which the log calls `what`.

    `keep_up` is called after news, and takes the newest document; `take_last` where none came
    within `START_S` of the begin. `here` is the document in force, of version 0 before the first.
    """

    def __init__(
        self,
        documents: EngineDocuments,
        key: str,
        what: str,
        keep_up: Callable[[], Awaitable[None]],
        take_last: Callable[[], Awaitable[None]],
    ) -> None:
        self.here = Document(0, b"")
        self._documents = documents
        self._key = key
        self._what = what
        self._keep_up = keep_up
        self._take_last = take_last
        self._news = trio.Event()
        self._has_begun = trio.Event()
        documents.follow(self._on_news)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with the document for the block, which begins with it if the cluster can be
        reached within `START_S`."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow)
            with trio.move_on_after(START_S) as patience:
                await self._has_begun.wait()
            if patience.cancelled_caught:
                await self._take_last()
            yield
            nursery.cancel_scope.cancel()

    def begin(self) -> None:
        """Let the block of `at_work` begin, though there is no document yet."""
        self._has_begun.set()

    async def adopt(self, take: Callable[[Document], Awaitable[None]]) -> bool:
        """Call `take` with the newest document, unless it is in force; return whether there is one.

        `take` raises `KeyError` for a document of which a part is not there. Raises `Missing` where
        that stays so, and `ClusterDown`.
        """
        for number in range(TRIES):
            document = await self._documents.document(self._key)
            if document.version == 0:
                return False
            if document == self.here:
                return True
            try:
                await take(document)
            except KeyError:
                await trio.sleep(AGAIN_S * number)  # it was replaced meanwhile
                continue
            return True
        raise Missing("a clip is missing there: put it again, or remove it")

    def _on_news(self, key: str | None) -> None:
        if key in (None, self._key):
            self._news.set()

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            if self.here.version:
                await trio.sleep(random.uniform(0, PAUSE_MAX_S))
            await self._follow_once()
            self._has_begun.set()

    async def _follow_once(self) -> None:
        """Keep up. A fault is logged, and then the document in force stays."""
        try:
            await self._keep_up()
        except ClusterSlow:  # the session goes on, and may have no other news
            await trio.sleep(SLOW_S)
            self._news.set()
        except ClusterDown:
            return  # with the next session there is news
        except (ClipTooLarge, Missing, msgspec.MsgspecError) as error:
            log.error(f"{self._what} of the cluster not taken", reason=str(error))
        except Exception:
            log.exception(f"{self._what} of the cluster not taken")
