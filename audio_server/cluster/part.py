"""A part of a node that has a use of its own for the sessions with the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from audio_server.cluster.link import Session


class Part(Protocol):
    """Records, documents, questions: each works by itself, on the one link of its node."""

    @property
    def channels(self) -> Sequence[str]:
        """The channels that are subscribed to before `run`; no two parts share one."""

    async def run(self, session: Session) -> None:
        """Use a session until it is cancelled at the session's end, or return.

        `ClusterDown` may be raised, and ends the session. All that came before it, of answers and
        messages, was heard in the order of the engine; between two sessions messages are lost.
        """

    def heard(self, channel: str, text: str) -> None:
        """Take a message. Called at any time in a session, also before `run`; must not wait."""
