"""Parts of a node that share its sessions with the engine."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from engine import EngineProcess
from members import until

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.interface import Listener
from audio_server.cluster.link import Link, Session
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.valkey import ValkeyCluster

BINARY = bytes(range(256)) * 1000


class Echo:
    """Keeps what it hears."""

    def __init__(self, *channels: str) -> None:
        self.channels: Sequence[str] = channels
        self.texts: list[tuple[str, str]] = []
        self.sessions: list[Session] = []
        self.ends = 0

    async def run(self, session: Session) -> None:
        self.sessions.append(session)
        try:
            await trio.sleep_forever()
        finally:
            self.ends += 1

    def heard(self, channel: str, text: str) -> None:
        self.texts.append((channel, text))


def make(engine: EngineProcess, *parts: Echo) -> ValkeyCluster:
    return ValkeyCluster(Link(parse_engine(engine.url), read_scripts()), parts=parts)


async def test_each_part_has_its_sessions_and_messages(engine: EngineProcess) -> None:
    one, two = Echo("as:one", "as:more"), Echo("as:two")
    cluster = make(engine, one, two)
    async with cluster.joined(Listener()):
        await until(lambda: bool(one.sessions and two.sessions))
        for channel in ("as:more", "as:two", "as:none", "as:one"):
            engine.ask("PUBLISH", channel, f"to {channel}")
        await one.sessions[0].command("PING")
        assert one.texts == [("as:more", "to as:more"), ("as:one", "to as:one")]
        assert two.texts == [("as:two", "to as:two")]
        engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: len(one.sessions) == 2)
        assert one.ends == 1
        assert one.sessions[0] is not one.sessions[1]
    assert (one.ends, two.ends) == (2, 2)


async def test_answers_of_bytes_are_whole_and_messages_between_them_are_text(
    engine: EngineProcess,
) -> None:
    part = Echo("as:one")
    async with make(engine, part).joined(Listener()), trio.open_nursery() as nursery:
        await until(lambda: bool(part.sessions))
        (session,) = part.sessions
        assert await session.command("SET", "as:x", BINARY) == b"OK"

        async def read() -> None:
            for _ in range(50):
                assert await session.command("GET", "as:x") == BINARY

        async def publish() -> None:
            for number in range(50):
                await trio.to_thread.run_sync(engine.ask, "PUBLISH", "as:one", f"ü {number}")

        nursery.start_soon(read)
        nursery.start_soon(publish)
        await until(lambda: len(part.texts) == 50)
        assert part.texts == [("as:one", f"ü {number}") for number in range(50)]
