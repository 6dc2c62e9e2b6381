"""Feeds: only to nodes that follow, each at its own pace, and none for an old time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from audio_server.cluster.feeds import WINDOW, Feed
from audio_server.cluster.interface import Listener
from audio_server.cluster.local import Hub
from audio_server.cluster.served import ServedNode
from audio_server.cluster.socket import SocketCluster


class Followers:
    """A hub with the feed `news`, and nodes at sockets in memory."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.hub = Hub()
        self.notes: list[Any] = []
        self.feed = Feed("news", lambda is_first: f"state {is_first}", self.notes.append)
        self._nursery = nursery

    async def join(self, name: str) -> tuple[SocketCluster, list[tuple[str, int, Any]]]:
        """A node, and all that it is given."""
        given: list[tuple[str, int, Any]] = []
        near, far = memory_stream_pair()
        cluster = SocketCluster(far)
        self._nursery.start_soon(ServedNode(self.hub, name, near).run)
        listener = Listener(fed=lambda *data: given.append(data))
        await self._nursery.start(self._live, cluster, listener)
        return cluster, given

    async def _live(
        self, cluster: SocketCluster, listener: Listener, *, task_status: trio.TaskStatus[None]
    ) -> None:
        async with cluster.joined(listener):
            task_status.started()
            await trio.sleep_forever()


@pytest.fixture
async def followers(nursery: trio.Nursery) -> AsyncIterator[Followers]:
    made = Followers(nursery)
    with made.hub.feeds.offering(made.feed):
        yield made


async def test_data_go_to_the_nodes_that_follow_and_to_no_other(followers: Followers) -> None:
    one, ones = await followers.join("one")
    _, others = await followers.join("other")
    one.follow("news")
    one.follow("there is no such feed")
    await wait_all_tasks_blocked()
    followers.feed.put("a")
    followers.feed.put(b"b")
    await wait_all_tasks_blocked()
    assert ones == [("news", 0, "state True"), ("news", 1, "a"), ("news", 2, b"b")]
    one.unfollow("news")
    await wait_all_tasks_blocked()
    followers.feed.put("c")
    await wait_all_tasks_blocked()
    assert len(ones) == 3
    assert others == []
    assert followers.feed.followers == 0


async def test_a_slow_node_loses_data_and_no_other_node_waits(followers: Followers) -> None:
    slow, slows = await followers.join("slow")
    fast, fasts = await followers.join("fast")
    for cluster in (slow, fast):
        cluster.follow("news")
    await wait_all_tasks_blocked()
    for number in range(1, 1001):
        followers.feed.put(number)
        if number % 50 == 0:
            await wait_all_tasks_blocked()
            fast.heard("news", fasts[-1][1], None)
            await wait_all_tasks_blocked()
    assert [data for _, _, data in fasts[1:]] == list(range(1, 1001))
    assert [data for _, _, data in slows[1:]] == list(range(1, WINDOW + 1))
    assert followers.feed.lost == 1000 - WINDOW
    slow.heard("news", slows[-1][1], "back")
    await wait_all_tasks_blocked()
    followers.feed.put("newest")
    await wait_all_tasks_blocked()
    assert slows[WINDOW + 1 :] == [("news", 0, "state False"), ("news", 1, "newest")]
    assert "back" in followers.notes


async def test_a_node_that_is_gone_follows_no_more(followers: Followers) -> None:
    one, _ = await followers.join("one")
    one.follow("news")
    await wait_all_tasks_blocked()
    assert followers.feed.followers == 1
    followers.hub.leave("one")
    assert followers.feed.followers == 0
    followers.hub.join("one", Listener())


async def test_more_is_confirmed_than_was_given(followers: Followers) -> None:
    one, ones = await followers.join("one")
    one.follow("news")
    await wait_all_tasks_blocked()
    one.heard("news", 1 << 40, None)
    one.heard("news", -5, None)
    await wait_all_tasks_blocked()
    for number in range(WINDOW + 5):
        followers.feed.put(number)
    await wait_all_tasks_blocked()
    assert len(ones) == 1 + WINDOW
