"""Engines that may drop keys that are to stay, when their memory is full."""

from __future__ import annotations

from contextlib import suppress

from audio_server.cluster.engine_connection import EngineConnection, Refused

SAFE = "noeviction", "volatile-"
"""Policies, or beginnings of them, that leave keys alone which never expire: names, tags, tokens,
clips."""


async def unsafe_policy(connection: EngineConnection) -> str | None:
    """Return the `maxmemory-policy` of an engine that may drop any key, else None.

    An engine without a limit of memory drops nothing; one that refuses to tell is believed. Raises
    `ClusterDown`.
    """
    with suppress(Refused):
        lines = (await connection.ask("INFO", "memory")).splitlines()
        facts = dict(line.partition(":")[::2] for line in lines)
        policy = facts.get("maxmemory_policy", "noeviction")
        if facts.get("maxmemory", "0") != "0" and not policy.startswith(SAFE):
            return str(policy)
    return None
