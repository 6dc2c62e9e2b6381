"""The records of devices that all nodes share: names, tags, hashes of tokens.

Each node has a copy of all records in memory, so that pages, groups and the proof of a token never
wait, and go on without the engine. A record takes about 0.5 KB there. Changes are made in the
engine, one record in one step, and told to all nodes; what a node has missed between two sessions
it reads when the next one begins. If the engine has lost changes, the nodes write them anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
import trio

from audio_server.cluster.interface import ClusterDown, ClusterSlow, RecordNews, RecordResult
from audio_server.cluster.link import Session
from audio_server.cluster.scripts import (
    ENROLL,
    FORGET,
    IMPORT_RECORD,
    RECORDS,
    RENAME,
    RESTORE,
    REVOKE,
    TAG,
)
from audio_server.identity.tokens import Enrolment
from audio_server.wire.device_ids import is_device_id

CHANNEL = INDEX = "as:records"

KEPT_S = 1.0
"""How long a change of a record may take. An engine that needs longer counts as down for it."""

PAGE = 200
"""Records that are read at a time."""

AT_ONCE = 50
"""Records that are changed or restored at a time, so that claims wait for no more."""

BLANK_MAX = 10_000
"""Records that have become blank, of which the version is remembered."""

AWAY_MAX_S = 6 * 24 * 3600.0
"""After a longer time without a session the engine may have dropped records that became blank, so
all are read anew, and none is restored."""

_NEWS: msgspec.json.Decoder[tuple[str, str, str, str, str, str, str]] = msgspec.json.Decoder(
    tuple[str, str, str, str, str, str, str]
)


class SharedRecords:
    """A `Part` of a node, and the `Records` of its fleet. Readable at any time."""

    channels = (CHANNEL,)

    def __init__(self) -> None:
        self.names: dict[str, str | None] = {}
        """The name of each device that has one."""
        self.tags: dict[str, tuple[str, ...]] = {}
        """The tags of each device that has some."""
        self.tokens: dict[str, Enrolment] = {}
        """The enrolment of each device that has a token."""
        self.is_up = False
        """Whether the records are those of the engine, as it last told."""
        self._is_whole = False
        self._versions: dict[str, int] = {}
        self._blank: OrderedDict[str, int] = OrderedDict()
        self._last: tuple[str, int] = ("", 0)
        self._read_to = 0  # all records up to that version are here; later news may have come too
        self._owed: Literal["", "anew", "restore"] = ""  # of a session that broke meanwhile
        self._left_at = 0.0
        self._session: Session | None = None
        self._followers: list[Callable[[RecordNews], None]] = []

    def follow(self, changed: Callable[[RecordNews], None]) -> None:
        """Have `changed` called after each change, also of this node's own."""
        self._followers.append(changed)

    def follow_tokens(self, changed: Callable[[str], None]) -> None:
        """Have `changed` called with each device whose enrolment has changed."""
        self.follow(lambda news: changed(news.device_id) if news.is_token_changed else None)

    # As a part

    async def run(self, session: Session) -> None:
        """Read what was missed, then take changes until cancelled."""
        with self.using(session):
            await self.read(session)
            self._is_whole = self.is_up = True
            await trio.sleep_forever()

    @contextmanager
    def using(self, session: Session) -> Iterator[None]:
        """Make changes by a session for the block."""
        self._session = session
        try:
            yield
        finally:
            if self.is_up:
                self._read_to = self._last[1]
            self.is_up, self._session = False, None
            self._left_at = trio.current_time()

    def heard(self, channel: str, text: str) -> None:
        """Take a change of any node."""
        self._take(text)

    async def read(self, session: Session) -> None:
        """Read the records that have changed since the last time. Raises `ClusterDown`."""
        has_all, *rows = await self._page(session, self._read_to)
        was_away = trio.current_time() - self._left_at > AWAY_MAX_S
        if self._last[1] and not self._owed and (was_away or has_all == "0"):
            self._owed = "anew" if was_away else "restore"
        if self._owed:
            if self._owed == "restore":
                await self._restore(session)
            await self._read_anew(session)
            self._owed = ""
            return
        while rows:
            for row in rows:
                self._take(row, is_late=not self._is_whole)
            self._read_to = self._version_of(rows[-1])
            _, *rows = await self._page(session, self._read_to)

    async def _read_anew(self, session: Session) -> None:
        """Read all records, and drop those that are no longer there."""
        before, after = dict(self._versions), 0
        while rows := (await self._page(session, after))[1:]:
            for row in rows:
                self._take(row)
                before.pop(msgspec.json.decode(row)[0], None)
            after = self._version_of(rows[-1])
        for device_id, version in before.items():
            if self._versions.get(device_id) == version:  # else it has changed meanwhile
                self._apply(device_id, version)

    async def _page(self, session: Session, after: int) -> Any:
        return await session.call(RECORDS, INDEX, after, PAGE, *self._last)

    def _version_of(self, row: str) -> int:
        return int(_NEWS.decode(row)[1])

    async def _restore(self, session: Session) -> None:
        """Write the records of this node that the engine has lost."""
        lost = [*self._versions.items(), *self._blank.items()]
        for start in range(0, len(lost), AT_ONCE):
            async with trio.open_nursery() as nursery:
                for device_id, version in lost[start : start + AT_ONCE]:
                    nursery.start_soon(self._restore_one, session, device_id, version)

    async def _restore_one(self, session: Session, device_id: str, version: int) -> None:
        await session.call(RESTORE, _row(device_id), version, *self._facts(device_id))

    def _facts(self, device_id: str) -> Sequence[str]:
        """Return the fields of a record as the engine has them."""
        token = self.tokens.get(device_id)
        secret = ("", "") if token is None else (token.token_hash.hex(), token.enrolled_at)
        return (self.names.get(device_id) or "", " ".join(self.tags.get(device_id, ())), *secret)

    def _take(self, text: str, *, is_late: bool = False) -> None:
        """Take a record as the engine tells it; one that is malformed is nobody's."""
        try:
            device_id, version, name, tags, token, at, flag = _NEWS.decode(text)
            token_hash, number = bytes.fromhex(token), int(version)
        except (msgspec.DecodeError, ValueError):
            return
        if is_device_id(device_id):
            if number >= self._last[1]:
                self._last = device_id, number
            enrolment = Enrolment(device_id, token_hash, at) if token_hash else None
            facts = name or None, tuple(tags.split()), enrolment
            self._apply(device_id, number, *facts, is_forgotten=bool(flag), is_late=is_late)

    def _apply(
        self,
        device_id: str,
        version: int,
        name: str | None = None,
        tags: tuple[str, ...] = (),
        token: Enrolment | None = None,
        *,
        is_forgotten: bool = False,
        is_late: bool = False,
    ) -> None:
        before = tuple(one.get(device_id) for one in (self.names, self.tags, self.tokens))
        _put(self.names, device_id, name)
        _put(self.tags, device_id, tags)
        _put(self.tokens, device_id, token)
        is_blank = name is None and not tags and token is None
        _put(self._versions, device_id, 0 if is_blank else version)
        self._blank.pop(device_id, None)
        if is_blank:
            self._blank[device_id] = version
            if len(self._blank) > BLANK_MAX:
                self._blank.popitem(last=False)
        if before != (name, tags or None, token) or is_forgotten:
            is_new = before[0] != name, before[2] != token
            news = RecordNews(device_id, before[1] or (), *is_new, is_forgotten, is_late)  # type: ignore[arg-type]
            for follower in self._followers:
                follower(news)

    # Changes

    async def rename(self, device_id: str, name: str | None, *, is_known: bool) -> RecordResult:
        """Give a device a name, or take it away; `is_known` says whether the node knows it.

        As all changes: returns when it is kept, in the engine and in as many replicas as modes are,
        of which a missing one is waited for no longer than `KEPT_S`; `done` or `gone`. Raises
        `ClusterDown` at once where the engine is down, and `ClusterSlow` where it does not answer
        within `KEPT_S`.
        """
        return await self._change(RENAME, device_id, name or "", int(is_known))

    async def tag(
        self,
        device_ids: Mapping[str, bool],
        add: Collection[str],
        remove: Collection[str],
        most: int,
    ) -> Mapping[str, RecordResult]:
        """Give devices tags and take others away, up to `most` for one; `device_ids` says which of
        them the node knows. `done`, `gone` or `full` for each. A fault leaves those that follow as
        they are."""
        results: dict[str, RecordResult] = {}
        words = " ".join(add), " ".join(remove), most

        async def tag(device_id: str) -> None:
            args = *words, int(device_ids[device_id])
            results[device_id] = await self._change(TAG, device_id, *args)

        ids = list(device_ids)
        try:
            for start in range(0, len(ids), AT_ONCE):
                async with trio.open_nursery() as nursery:
                    for device_id in ids[start : start + AT_ONCE]:
                        nursery.start_soon(tag, device_id)
        except* ClusterDown:
            pass
        if len(results) < len(ids):
            raise ClusterSlow if results or self._session is not None else ClusterDown
        return results

    async def forget(self, device_id: str, *, is_known: bool) -> RecordResult:
        """Forget the name, the tags and the mode of a device; `done`, `gone` or `connected`."""
        return await self._change(FORGET, device_id, int(is_known))

    async def enroll(self, enrolment: Enrolment, *, is_again: bool = False) -> RecordResult:
        """Give a device a token, in the place of another one if it `is_again`; else `there`."""
        facts = enrolment.token_hash.hex(), enrolment.enrolled_at, int(is_again)
        return await self._change(ENROLL, enrolment.device_id, *facts)

    async def revoke(self, device_id: str) -> RecordResult:
        """Take a device's token away; `gone` where it has none."""
        return await self._change(REVOKE, device_id)

    async def put(
        self,
        device_id: str,
        name: str | None,
        tags: Collection[str],
        enrolment: Enrolment | None,
    ) -> RecordResult:
        """Write what another server has known of a device: those parts that are not empty."""
        secret = ("", "")
        if enrolment is not None:
            secret = enrolment.token_hash.hex(), enrolment.enrolled_at
        return await self._change(IMPORT_RECORD, device_id, name or "", " ".join(tags), *secret)

    async def has_some(self, session: Session) -> bool:
        """Whether there is any record. Raises `ClusterDown`."""
        return len(await session.call(RECORDS, INDEX, 0, 1, "", 0)) > 1

    async def _change(self, script: str, device_id: str, *args: str | int) -> RecordResult:
        session = self._session
        if session is None:
            raise ClusterDown
        kept = trio.Event()

        def heard(answer: Any) -> Any:
            if not isinstance(answer, ClusterDown):
                for text in answer[1:]:
                    self._take(text)
                if not patience.cancel_called:
                    session.when_replicated(kept, kept.set)
            return answer

        answer: Any = None
        with trio.move_on_after(KEPT_S) as patience:
            answer = await session.ask(heard, script, _row(device_id), *args)
            if not isinstance(answer, ClusterDown):
                await kept.wait()
        session.drop(kept)  # replicas that are missing are waited for no longer
        if answer is None or isinstance(answer, ClusterDown):
            raise ClusterSlow
        result: RecordResult = answer[0]
        return result


def _row(device_id: str) -> str:
    return f"as:r:{device_id}"


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Have a value, or none where it is blank."""
    if value:
        values[key] = value
    else:
        values.pop(key, None)
