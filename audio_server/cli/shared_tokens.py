"""The tokens of a cluster, as commands change them: each by one session with its engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import trio

from audio_server.cli.errors import CommandError
from audio_server.cluster.interface import ClusterDown, ClusterSlow
from audio_server.cluster.link import Session
from audio_server.cluster.opening import make_records_link
from audio_server.cluster.records import SharedRecords
from audio_server.identity.tokens import Enrolment, new_token
from audio_server.settings import Settings

T = TypeVar("T")


def enroll(settings: Settings, device_id: str) -> str:
    """Give a device a token, which is told here and never again. Raises `CommandError` for one that
    has a token, and `SetupError` for an engine that cannot be used."""
    token, enrolment = new_token(device_id)
    if _run(settings, lambda records, _: records.enroll(enrolment)) == "there":
        raise CommandError(f"{device_id} is enrolled already; revoke it first")
    return token


def revoke(settings: Settings, device_id: str) -> None:
    """Take a device's token away. Raises `CommandError` for one that has none, and `SetupError`."""
    if _run(settings, lambda records, _: records.revoke(device_id)) == "gone":
        raise CommandError(f"{device_id} is not enrolled")


def read(settings: Settings) -> Collection[Enrolment]:
    """Return all devices that are enrolled, by their ids. Raises `SetupError`."""

    async def read(records: SharedRecords, session: Session) -> list[Enrolment]:
        await records.read(session)
        return [one for _, one in sorted(records.tokens.items())]

    return _run(settings, read)


def _run(settings: Settings, do: Callable[[SharedRecords, Session], Awaitable[T]]) -> T:
    link, results = make_records_link(settings), list[T]()

    async def once(session: Session) -> None:
        records = SharedRecords()
        with records.using(session):
            try:
                results.append(await do(records, session))
            except ClusterSlow:
                reason = "the cluster does not answer: the change may still be made"
                raise CommandError(reason) from None
            except ClusterDown:
                raise CommandError("the cluster is down: nothing has changed") from None

    trio.run(link.run_once, once)
    return results[0]
