"""Devices of workers take their profiles after each change of tags, whoever makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.cluster.group_list import FolderClips, GroupDocument, Members
from audio_server.groups.groups import no_groups
from audio_server.workers.supervisor import WorkerPool, WorkerTakers


class Documents:
    """Counts what is put."""

    def __init__(self) -> None:
        self.puts = 0

    async def put(self, members: Callable[[], Members], clips: FolderClips) -> None:
        await trio.lowlevel.checkpoint()
        self.puts += 1


class Pool:
    """Workers that take all at once."""

    async def change(self, what: str) -> None:
        await trio.lowlevel.checkpoint()


async def test_tags_of_another_machine_count_after_a_change_of_a_group(
    nursery: trio.Nursery,
) -> None:
    documents = Documents()
    pool, document = cast(WorkerPool, Pool()), cast(GroupDocument, documents)
    takers = WorkerTakers(document, no_groups(), pool)
    nursery.start_soon(takers.run)
    await wait_all_tasks_blocked()
    for puts in (2, 4):
        await takers.take()
        takers.retag("x")  # nobody waits for it
        await wait_all_tasks_blocked()
        assert documents.puts == puts
