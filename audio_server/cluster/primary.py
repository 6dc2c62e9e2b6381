"""The one engine that may be written to: where it is, and a connection to it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import trio

from audio_server.cluster.engine import Engine, Place
from audio_server.cluster.engine_connection import EngineConnection, EngineFault, Refused, Word
from audio_server.cluster.interface import ClusterDown

CONNECT_S = 2.0
"""How long the engine may take until the first command of a session."""

VERSION_MIN = 7


def _ignore(_: list[Any]) -> None:
    """Take no notice."""


class Primary:
    """The engine at an address, or the one that Sentinels know. `str()` holds no secret."""

    def __init__(self, engine: Engine, password: str | None, tls: ssl.SSLContext | None) -> None:
        self._engine = engine
        self._password = password
        self._tls = tls

    def __str__(self) -> str:
        return str(self._engine)

    async def find(self) -> Place:
        """Return the place of the primary, as the first Sentinel that answers knows it."""
        if self._engine.primary is None:
            return self._engine.places[0]
        for place in self._engine.places:
            with trio.move_on_after(CONNECT_S / (1 + len(self._engine.places))):
                try:
                    if found := await self._ask_sentinel(place, self._engine.primary):
                        return found
                except* (EngineFault, OSError, ClusterDown):
                    pass  # the next one is asked
        raise EngineFault("no Sentinel knows the primary")

    async def _ask_sentinel(self, place: Place, name: str) -> Place | None:
        found: Place | None = None
        async with trio.open_nursery() as nursery:
            connection = await self._open(nursery, place, _ignore)
            if self._password is not None:
                with suppress(Refused):  # most Sentinels have none
                    await connection.ask("AUTH", self._password)
            if answer := await connection.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name):
                found = Place(answer[0], int(answer[1]))
            nursery.cancel_scope.cancel()
        return found

    async def connect(
        self, nursery: trio.Nursery, place: Place, pushed: Callable[[list[Any]], None] = _ignore
    ) -> EngineConnection:
        """Return a connection to the primary, which runs in `nursery`; `pushed` hears messages.

        Raises `EngineFault`, `ClusterDown` and `OSError`.
        """
        connection = await self._open(nursery, place, pushed)
        words: list[Word] = ["HELLO", 3]
        if self._password is not None:
            words += ["AUTH", self._engine.user or "default", self._password]
        try:
            facts = await connection.ask(*words)
        except Refused as refused:  # its text may repeat the password
            raise EngineFault(_hello_refused(refused.code)) from None
        try:
            version = str(facts["version"])
            major = int(version.partition(".")[0])
        except (LookupError, TypeError, ValueError):
            raise EngineFault("is neither Valkey nor Redis") from None
        if major < VERSION_MIN:
            raise EngineFault(f"version {version} is too old: {VERSION_MIN} or newer is needed")
        role = await connection.ask("ROLE")
        if role[0] != "master":
            raise EngineFault("is a replica, not the primary")
        return connection

    async def _open(
        self, nursery: trio.Nursery, place: Place, pushed: Callable[[list[Any]], None]
    ) -> EngineConnection:
        stream: trio.abc.Stream = await trio.open_tcp_stream(place.host, place.port)
        if self._tls is not None:
            assert isinstance(stream, trio.SocketStream)
            secure = trio.SSLStream(stream, self._tls, server_hostname=place.host)
            try:
                await secure.do_handshake()
            except trio.BrokenResourceError as error:
                await trio.aclose_forcefully(stream)
                raise EngineFault(_tls_reason(error)) from None
            except BaseException:
                stream.socket.close()
                raise
            stream = secure
        connection = EngineConnection(stream, pushed)
        nursery.start_soon(connection.run)
        return connection


def _hello_refused(code: str) -> str:
    if code == "WRONGPASS":
        return "it refuses the password"
    if code == "NOAUTH":
        return "it needs a password: --cluster-password-file"
    if code in ("ERR", "NOPROTO"):
        return f"it does not speak RESP3: version {VERSION_MIN} or newer is needed"
    return f"it refuses connections ({code})"


def _tls_reason(error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {cause.verify_message}"
    return "the TLS handshake failed"
