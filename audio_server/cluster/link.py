"""The way to the engine: found, connected to, and made anew for ever.

A `Session` is the time between two breaks. Whatever is out of the ordinary ends it: a command that
the engine refuses (it is full, it has become a replica, it has forgotten the scripts), a silence, a
lost connection. So there is one way back from all of these, and a session means that no news was
lost since its begin.
"""

from __future__ import annotations

import os
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

import structlog
import trio

from audio_server.cluster.engine import Engine
from audio_server.cluster.engine_connection import (
    EngineConnection,
    EngineFault,
    Heard,
    Refused,
    Word,
)
from audio_server.cluster.eviction import unsafe_policy
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.primary import CONNECT_S, Primary
from audio_server.cluster.replicas import Replicas
from audio_server.errors import SetupError, leaves

SILENCE_S = 1.5
"""How long it may owe an answer and send nothing."""

TICK_S = 0.25

PAUSE_MIN_S, PAUSE_MAX_S = 0.05, 1.0
"""Pauses between attempts: each is twice as long, and a part of it is by chance."""

STEADY_S = 5.0
"""A session that has lasted so long begins the pauses anew."""

FULL = "OOM"
"""The code with which an engine that is full refuses a command."""

INFO = "CLIENT", "INFO"

T = TypeVar("T")

log = structlog.get_logger()


class Session:
    """Commands to the engine until the next break. Their keys are rows, their scripts loaded."""

    def __init__(
        self, connection: EngineConnection, shas: Mapping[str, str], replicas: Replicas | None
    ) -> None:
        self._connection = connection
        self._shas = shas
        self._replicas = replicas
        self._fault: Refused | None = None
        self._over = trio.Event()

    def send(self, heard: Heard, script: str, key: str, *args: Word) -> None:
        """Run a script after those before it. `heard` is called with its answer, or with
        `ClusterDown`, which is not raised."""
        sent = partial(self._on_answer, heard)
        self._connection.send(sent, "EVALSHA", self._shas[script], 1, key, *args)

    async def ask(self, hear: Callable[[Any], T], script: str, key: str, *args: Word) -> T:
        """Return the value of `hear`, which is called as by `send`: in the order of all answers and
        messages, also where the task that asks is cancelled."""
        values: list[T] = []
        over = trio.Event()

        def heard(answer: Any) -> None:
            values.append(hear(answer))
            over.set()

        self.send(heard, script, key, *args)
        await over.wait()
        return values[0]

    async def call(self, script: str, key: str, *args: Word) -> Any:
        """Return the answer of a script. Raises `ClusterDown`."""
        answer = await self.ask(lambda answer: answer, script, key, *args)
        if isinstance(answer, ClusterDown):
            raise ClusterDown  # another one: a name for it here would be a cycle
        return answer

    async def command(self, *words: Word) -> Any:
        """Return the answer of a command, with texts as bytes. Raises `ClusterDown`."""
        answers: list[Any] = []
        over = trio.Event()

        def heard(answer: Any) -> None:
            answers.append(answer)
            over.set()

        self._connection.send(partial(self._on_answer, heard), *words, as_bytes=True)
        await over.wait()
        if isinstance(answers[0], ClusterDown):
            raise ClusterDown  # another one: a name for it here would be a cycle
        return answers[0]

    async def flush(self, *words: Word) -> None:
        """Return when the engine has obeyed all commands, and this one. Raises `ClusterDown`."""
        try:
            await self._connection.ask(*words)
        except Refused:
            raise ClusterDown from None

    def send_command(self, heard: Heard, *words: Word) -> None:
        """Send a command; `heard` is called as by `send`, with texts as bytes. An engine that is
        full refuses it, and the session goes on."""
        sent = partial(self._on_answer, heard, spared=FULL)
        self._connection.send(sent, *words, as_bytes=True)

    async def commands(self, many: Iterable[Sequence[Word]]) -> list[Any]:
        """Return the answers to commands, sent at once, as `send_command` gives them. Raises
        `ClusterDown`."""
        answers: list[Any] = []
        over, expected = trio.Event(), 0

        def heard(answer: Any) -> None:
            answers.append(answer)
            if len(answers) == expected:
                over.set()

        words_of = list(many)
        expected = len(words_of)
        for words in words_of:
            self.send_command(heard, *words)
        if expected:
            await over.wait()
        if any(isinstance(answer, ClusterDown) for answer in answers):
            raise ClusterDown
        return answers

    def hear_bytes(self) -> None:
        """Have messages be bytes from now on, not text."""
        self._connection.hear_bytes()

    def subscribe(self, channel: str) -> None:
        """Have messages of a channel pushed."""
        self._connection.send(None, "SUBSCRIBE", channel)

    def unsubscribe(self, channel: str) -> None:
        """Have no more messages of a channel pushed, but for those on their way."""
        self._connection.send(None, "UNSUBSCRIBE", channel)

    def when_replicated(self, key: object, do: Callable[[], None]) -> None:
        """Call `do` when the replicas have all that was answered until now, unless something later
        takes its place at that key; at once without replicas."""
        if self._replicas is None:
            do()
        else:
            self._replicas.when_replicated(key, do)

    def drop(self, key: object) -> None:
        """Do nothing for a key once the replicas have it."""
        if self._replicas is not None:
            self._replicas.drop(key)

    def _on_answer(self, heard: Heard, answer: Any, spared: str | None = None) -> None:
        if isinstance(answer, Refused):
            if answer.code != spared:
                self._fail(answer)
            answer = ClusterDown()
        heard(answer)

    def _fail(self, fault: Refused) -> None:
        self._fault = self._fault or fault
        self._over.set()

    async def run(self) -> NoReturn:
        """Raise the fault that ends the session."""
        await self._over.wait()
        assert self._fault is not None
        raise self._fault


class Link:
    """Sessions with the primary of `engine`, one after the other.

    `password` and `tls` are for the engine; with `replicas` so many of them confirm modes. The log
    says `up` and `down` of it, and where it `warns` also how the engine is set wrongly.
    """

    def __init__(
        self,
        engine: Engine,
        scripts: Mapping[str, str],
        *,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        replicas: int = 0,
        up: str = "cluster is up",
        down: str = "cluster is down",
        warns: bool = True,
    ) -> None:
        self._up, self._down = up, down
        self._primary = Primary(engine, password, tls)
        self._scripts = scripts
        self._replicas = replicas
        self._reasons: set[str] = set()
        self._failures = 0
        self._last: tuple[str, str] | None = None
        self._warns = warns
        self._policy: str | None = None

    async def run(
        self,
        begin: Callable[[Session], Awaitable[None]],
        pushed: Callable[[list[Any]], None],
    ) -> NoReturn:
        """Call `begin` with each session, until cancelled. It is cancelled at the session's end,
        and calls `came_up` once the session is good."""
        while True:
            began = trio.current_time()
            try:
                await self._run_once(begin, pushed)
            except* (EngineFault, OSError, ClusterDown, trio.TooSlowError) as faults:
                self._log_down(faults)
            if trio.current_time() - began >= STEADY_S:
                self._failures = 0
            pause_s = min(PAUSE_MIN_S * 2**self._failures, PAUSE_MAX_S)
            self._failures = min(self._failures + 1, 10)
            await trio.sleep(pause_s * random.uniform(0.5, 1))

    async def run_once(self, do: Callable[[Session], Awaitable[None]]) -> None:
        """Call `do` with one session, in which no messages are heard. Raises `SetupError` with the
        reason where the engine cannot be used; errors of `do` are in a group."""
        try:
            await self._run_once(do, lambda _: None)
        except* (EngineFault, OSError, ClusterDown, trio.TooSlowError) as faults:
            reasons = [_reason(one) for one in leaves(faults) if not isinstance(one, ClusterDown)]
            reason = next(iter(reasons), "it has not answered in time")
            raise SetupError(f"the cluster at {self._primary}", reason) from None

    def came_up(self, **facts: Any) -> None:
        """Log that a session is good, with these facts."""
        self._reasons.clear()
        log.info(self._up, engine=str(self._primary), **facts)

    def _log_down(self, faults: BaseExceptionGroup[Any]) -> None:
        """Log the reason, once until the cluster is up again."""
        reasons = [_reason(fault) for fault in leaves(faults) if not isinstance(fault, ClusterDown)]
        for reason in reasons[:1]:
            if reason not in self._reasons:
                log.warning(self._down, engine=str(self._primary), reason=reason)
                self._reasons.add(reason)

    async def _run_once(
        self,
        begin: Callable[[Session], Awaitable[None]],
        pushed: Callable[[list[Any]], None],
    ) -> None:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(CONNECT_S):
                place = await self._primary.find()
                connection = await self._primary.connect(nursery, place, pushed)
                await self._end_last(connection)
                if self._warns:
                    await self._look_at_eviction(connection)
                shas = await self._load_scripts(connection)
                replicas = None
                if self._replicas:
                    beside = await self._primary.connect(nursery, place)
                    replicas = Replicas(beside, self._replicas)
                    nursery.start_soon(replicas.run)
            for one in [connection, beside] if self._replicas else [connection]:
                nursery.start_soon(_watch, one)
            session = Session(connection, shas, replicas)
            nursery.start_soon(session.run)
            await begin(session)
            nursery.cancel_scope.cancel()

    async def _end_last(self, connection: EngineConnection) -> None:
        """End the connection of the session before, at the engine, where it may have hung on the
        way: no command of that session is obeyed after one of this session."""
        if self._last is not None:
            number, address = self._last
            await connection.ask("CLIENT", "KILL", "ID", number, "ADDR", address)
        facts = dict(fact.partition("=")[::2] for fact in (await connection.ask(*INFO)).split())
        self._last = facts["id"], facts["addr"]

    async def _look_at_eviction(self, connection: EngineConnection) -> None:
        """Warn of an engine that may drop what is to stay, once until it is set otherwise."""
        policy = await unsafe_policy(connection)
        if policy is not None and policy != self._policy:
            remedy = "set it to noeviction or volatile-ttl"
            risk = "a full engine drops names, tokens and clips"
            facts = {"maxmemory_policy": policy, "risk": risk, "remedy": remedy}
            log.warning("engine may drop state", engine=str(self._primary), **facts)
        self._policy = policy

    async def _load_scripts(self, connection: EngineConnection) -> Mapping[str, str]:
        """Load the scripts and return their hashes."""
        return {
            name: await connection.ask("SCRIPT", "LOAD", text)
            for name, text in self._scripts.items()
        }


async def _watch(connection: EngineConnection) -> NoReturn:
    """Raise `EngineFault` after a silence. Time in which this loop stood still does not count."""
    silent_s, seen, last = 0.0, 0, trio.current_time()
    while silent_s < SILENCE_S:
        await trio.sleep(TICK_S)
        now = trio.current_time()
        if connection.is_asking and connection.reads == seen:
            silent_s += min(now - last, 2 * TICK_S)
        else:
            silent_s = 0.0
        seen, last = connection.reads, now
    raise EngineFault(f"it has been silent for {SILENCE_S:g} s")


def _os_reason(fault: OSError) -> str | None:
    is_of_names = isinstance(fault, socket.gaierror) or fault.errno is None
    return fault.strerror if is_of_names else os.strerror(fault.errno or 0)


def _reason(fault: BaseException) -> str:
    if isinstance(fault, trio.TooSlowError):
        return f"it has not answered for {CONNECT_S:g} s"
    if isinstance(fault, OSError):
        causes = [cause for cause in leaves(fault.__cause__ or fault) if isinstance(cause, OSError)]
        return next(filter(None, map(_os_reason, causes)), "it is not reachable")
    return str(fault)
