"""An engine in memory, for nodes under a virtual clock: what it is told it does after a delay."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import trio

from audio_server.cluster.interface import ClusterDown

LEASE_S, SETTLE_S = 3.0, 5.0
NEWS = "as:live"


@dataclass
class Row:
    """A lease."""

    node: str
    name: str
    since: float
    begun: float
    until: float


@dataclass
class MemoryEngine:
    """`published` counts the messages of each channel; `delay_s` passes before and after a command
    is obeyed, and none is obeyed while it hangs."""

    delay_s: float = 0.0
    rows: dict[str, Row] = field(default_factory=dict)
    sessions: list[MemorySession] = field(default_factory=list)
    published: dict[str, int] = field(default_factory=dict)
    is_up: trio.Event = field(default_factory=trio.Event)
    runs: trio.Event = field(default_factory=trio.Event)

    def __post_init__(self) -> None:
        self.is_up.set()
        self.runs.set()

    def hang(self) -> None:
        self.runs = trio.Event()

    def go_on(self) -> None:
        self.runs.set()

    def kill(self) -> None:
        """Lose all rows and connections, and be away until `start`."""
        self.is_up = trio.Event()
        self.rows.clear()
        for session in list(self.sessions):
            session.scope.cancel()

    def start(self) -> None:
        self.is_up.set()

    def sounds(self, name: str = "radio") -> int:
        """The messages with sound of a channel."""
        return self.published.get(f"as:live:sound:{name}", 0)

    def publish(self, channel: str, data: bytes) -> int:
        self.published[channel] = self.published.get(channel, 0) + 1
        hearers = [one for one in self.sessions if channel in one.channels]
        for one in hearers:
            one.tell(partial(one.pushed, [b"message", channel.encode(), data]))
        return len(hearers)

    def row(self, key: str) -> Row | None:
        row = self.rows.get(key)
        return row if row is not None and row.until > trio.current_time() else None

    def lease(self, key: str, node: str, name: str, wanted_us: int) -> list[bytes]:
        """As `lease.lua`, which the tests of real engines run."""
        row, now = self.row(key), trio.current_time()
        since = now - wanted_us / 1e6
        if row is not None and row.node == node:
            row.until = now + LEASE_S
        elif row is None or (since < row.since and now - row.begun < SETTLE_S):
            row = self.rows[key] = Row(node, name, since, now, now + LEASE_S)
            self.publish(NEWS, msgspec.msgpack.encode(["held", key, node, name]))
        return [row.node.encode(), row.name.encode()]

    def unlease(self, key: str, node: str) -> list[bytes]:
        row = self.row(key)
        if row is not None and row.node == node:
            del self.rows[key]
            self.publish(NEWS, msgspec.msgpack.encode(["free", key, node]))
        return []


class MemorySession:
    """As `Session`, with answers and messages in one order."""

    def __init__(self, engine: MemoryEngine, pushed: Callable[[list[Any]], None]) -> None:
        self.channels: set[str] = set()
        self.pushed = pushed
        self.scope = trio.CancelScope()
        self._engine = engine
        self._commands: deque[tuple[Callable[[Any], None], Callable[[], Any]]] = deque()
        self._told: deque[tuple[float, Callable[[], None]]] = deque()
        self._some, self._news = trio.Event(), trio.Event()
        self._is_over = False

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear)
            while True:
                await self._some.wait()
                self._some = trio.Event()
                await trio.sleep(self._engine.delay_s)
                await self._engine.runs.wait()
                while self._commands:
                    heard, do = self._commands.popleft()
                    self.tell(partial(heard, do()))

    def tell(self, do: Callable[[], None]) -> None:
        self._told.append((trio.current_time() + self._engine.delay_s, do))
        self._news.set()

    async def _hear(self) -> None:
        while True:
            await self._news.wait()
            self._news = trio.Event()
            while self._told:
                await trio.sleep_until(self._told[0][0])
                self._told.popleft()[1]()

    def end(self) -> None:
        self._is_over = True
        while self._commands:
            self._commands.popleft()[0](ClusterDown())

    def _send(self, heard: Callable[[Any], None], do: Callable[[], Any]) -> None:
        if self._is_over:
            heard(ClusterDown())
            return
        self._commands.append((heard, do))
        self._some.set()

    def hear_bytes(self) -> None:
        """All is bytes."""

    def subscribe(self, channel: str) -> None:
        self._send(lambda _: None, lambda: self.channels.add(channel))

    def unsubscribe(self, channel: str) -> None:
        self._send(lambda _: None, lambda: self.channels.discard(channel))

    def send(self, heard: Callable[[Any], None], script: str, key: str, *args: Any) -> None:
        self._send(heard, lambda: getattr(self._engine, script)(key, *args))

    def send_command(self, heard: Callable[[Any], None], *words: Any) -> None:
        self._send(heard, lambda: self._obey(*words))

    def _obey(self, what: str, *args: Any) -> Any:
        if what == "PUBLISH":
            return self._engine.publish(*args)
        if what == "HMGET":
            row = self._engine.row(args[0])
            return [None, None] if row is None else [row.node.encode(), row.name.encode()]
        return what

    async def commands(self, many: Iterable[Sequence[Any]]) -> list[Any]:
        answers: list[Any] = []
        over = trio.Event()

        def heard(answer: Any) -> None:
            answers.append(answer)
            over.set()

        for words in many:
            self.send_command(heard, *words)
        await over.wait()
        if isinstance(answers[0], ClusterDown):
            raise ClusterDown
        return answers


class MemoryLink:
    """As `Link`."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.is_cut = False
        self.session: MemorySession | None = None

    def came_up(self, **facts: Any) -> None:
        """No log."""

    async def run(
        self, begin: Callable[[Any], Awaitable[None]], pushed: Callable[[list[Any]], None]
    ) -> None:
        while True:
            await self._engine.is_up.wait()
            while self.is_cut:  # noqa: ASYNC110
                await trio.sleep(0.1)
            session = self.session = MemorySession(self._engine, pushed)
            self._engine.sessions.append(session)
            try:
                with session.scope:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(session.run)
                        await begin(session)
            finally:
                self._engine.sessions.remove(session)
                session.end()
            await trio.sleep(0.05)

    def cut(self) -> None:
        """Lose the connection, and have no other until `mend`."""
        self.is_cut = True
        if self.session is not None:
            self.session.scope.cancel()

    def mend(self) -> None:
        self.is_cut = False
