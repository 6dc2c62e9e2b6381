"""Feeds: data that goes to the nodes that follow it, and only there, as it comes.

A node that does not confirm is not waited for: of data that comes meanwhile it is given so many,
and then none until it confirms; then it is given the state anew. So no node holds up another one,
and none is given old data when it reads again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

WINDOW = 200
"""Data on their way to a node that has not confirmed them. A node confirms once a second."""

Give: TypeAlias = Callable[[str, int, Any], None]
"""Sends data to a node: the key, the number and the data. Never waits."""


@dataclass(slots=True)
class _Follower:
    give: Give
    number: int = 0
    confirmed: int = 0
    has_lost: bool = False


class Feed:
    """One feed. `state` returns the data that says how things are now, for a node that begins to
    follow (True) or that has lost data; `noted` is called with each note of a node."""

    def __init__(
        self, key: str, state: Callable[[bool], Any], noted: Callable[[Any], None] = lambda _: None
    ) -> None:
        self.key = key
        self.lost = 0
        """Data that slow nodes were not given, over all nodes."""
        self._state = state
        self._noted = noted
        self._followers: dict[str, _Follower] = {}

    @property
    def followers(self) -> int:
        """The number of nodes that follow."""
        return len(self._followers)

    def put(self, data: Any) -> None:
        """Give data to all nodes that follow."""
        for follower in self._followers.values():
            if follower.has_lost or follower.number - follower.confirmed >= WINDOW:
                follower.has_lost = True
                self.lost += 1
            else:
                follower.number += 1
                follower.give(self.key, follower.number, data)

    def follow(self, node: str, give: Give) -> None:
        """Give a node the present state, and all data that comes."""
        self._followers[node] = _Follower(give)
        give(self.key, 0, self._state(True))

    def renew(self) -> None:
        """Give the present state to all nodes that follow, as to those that begin."""
        for node, follower in list(self._followers.items()):
            self.follow(node, follower.give)

    def unfollow(self, node: str) -> None:
        """Give a node no more; one that does not follow stays as it is."""
        self._followers.pop(node, None)

    def heard(self, node: str, number: int, note: Any) -> None:
        """A node has confirmed data, and gives a note."""
        if (follower := self._followers.get(node)) is not None:
            follower.confirmed = max(follower.confirmed, min(number, follower.number))
            if follower.has_lost and follower.number - follower.confirmed < WINDOW:
                self._followers[node] = _Follower(follower.give)
                follower.give(self.key, 0, self._state(False))
        self._noted(note)


class Feeds:
    """All feeds of a hub. Nodes may name feeds that do not exist: they are given nothing."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}

    @contextmanager
    def offering(self, feed: Feed) -> Iterator[None]:
        """Have nodes find a feed for the block."""
        self._feeds[feed.key] = feed
        try:
            yield
        finally:
            del self._feeds[feed.key]

    def follow(self, node: str, give: Give, key: str) -> None:
        """As `Feed.follow`."""
        if (feed := self._feeds.get(key)) is not None:
            feed.follow(node, give)

    def unfollow(self, node: str, key: str) -> None:
        """As `Feed.unfollow`."""
        if (feed := self._feeds.get(key)) is not None:
            feed.unfollow(node)

    def heard(self, node: str, key: str, number: int, note: Any) -> None:
        """As `Feed.heard`."""
        if (feed := self._feeds.get(key)) is not None:
            feed.heard(node, number, note)

    def leave(self, node: str) -> None:
        """The node is gone."""
        for feed in self._feeds.values():
            feed.unfollow(node)
