"""What the workers say, answered by the registry, on its way to their post."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import trio

from audio_server.workers.messages import Changed, Claim, Lines, Ready, Up, decode_up
from audio_server.workers.post import Post
from audio_server.workers.registry import Registry

_READ_BYTES = 16 * 1024


class Member(Protocol):
    """A worker, as far as the relay is concerned."""

    post: Post

    def on_ready(self) -> None:
        """It accepts connections."""


class Relay:
    """Stands between `members`, by their numbers, and the registry."""

    def __init__(self, registry: Registry, members: Mapping[int, Member]) -> None:
        self._registry = registry
        self._members = members

    async def run(self, stream: trio.abc.ReceiveStream) -> None:
        """Take messages until all writers have closed the stream. Closes it."""
        lines = Lines()
        async with stream:
            while data := await stream.receive_some(_READ_BYTES):
                for line in lines.feed(bytes(data)):
                    self._take(decode_up(line))

    def _take(self, message: Up) -> None:
        match message:
            case Claim():
                for worker, news in self._registry.claim(message):
                    self._members[worker].post.send(news)
            case Changed():
                self._registry.change(message)
            case Ready():
                self._members[message.worker].on_ready()
