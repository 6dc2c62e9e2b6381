"""Questions that are answered each in a task of its own.

Nothing is said unasked, so nothing piles up where the other end does not read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from inspect import signature
from math import inf
from typing import Any, TypeAlias

import msgspec
import structlog
import trio

from audio_server.cluster.interface import NoAnswer, Question

Parts: TypeAlias = AsyncGenerator[Any, None]

log = structlog.get_logger()


class Answering:
    """Answers questions with `answers`, by their names."""

    def __init__(self, answers: Mapping[str, Callable[..., Parts]]) -> None:
        self._answers = answers
        self._nursery: trio.Nursery | None = None

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Answer for the block."""
        async with trio.open_nursery() as self._nursery:
            yield
            self._nursery.cancel_scope.cancel()

    def asked(self, question: Question, within_s: float = inf) -> None:
        """Answer a question soon; after `within_s` the answer ends where it is."""
        assert self._nursery is not None
        self._nursery.start_soon(self._answer, question, trio.current_time() + within_s)

    async def _answer(self, question: Question, until: float) -> None:
        """Answer one question. This is the edge where faults of an answer end."""
        is_answered = False
        try:
            answer = self._answers[question.what]
            signature(answer).bind(**question.facts)
        except (LookupError, TypeError):
            question.refuse()
            return
        try:
            with trio.move_on_at(until):
                async with aclosing(answer(**question.facts)) as parts:
                    async for part in parts:
                        question.add(part)
                        await question.wait_room()
                is_answered = True
        except* msgspec.ValidationError:
            question.refuse()
        except* NoAnswer:
            pass  # it cannot be given
        except* Exception:
            log.exception("answer failed", asked=question.what)
        question.end(is_answered=is_answered)
