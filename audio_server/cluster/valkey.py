"""The cluster of several machines, whose state is in an engine: Valkey, or Redis from 7 on.

Truth is in rows with epochs, which scripts read and write in one step. Messages of the engine are
hints. A node never needs the engine to go on: a device that it knows is let in at once, another one
after `DOWN_S` and then is provisional, and presses are acknowledged from memory. After each break
the node reclaims its devices, which writes what it has missed, or learns that they have moved.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from secrets import token_hex
from typing import Any

import structlog
import trio
from trio_util import AsyncValue

from audio_server.cluster.engine_clock import EngineClock
from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import Claimed, ClusterDown, Listener
from audio_server.cluster.known import Known, KnownDevices, age_us
from audio_server.cluster.link import Link, Session
from audio_server.cluster.part import Part
from audio_server.cluster.scripts import BEAT, CLAIM, PUT_MODE, RECLAIM, RELEASE
from audio_server.cluster.unconfirmed import Unconfirmed
from audio_server.device.attachment import Superseded

DOWN_S = 1.0
"""How long a device that is not known here waits for an engine that is down."""

KEPT_S = 1.0
"""How long a press waits for its mode to be kept."""

BEAT_S = 0.5

LAST_S = 1.0
"""How long the end of a node waits for its last commands."""

RECLAIMED_AT_ONCE = 20
"""How many devices are reclaimed at a time, so that new claims never wait for more."""

TOUCHED_S = 24 * 3600
"""How often the rows of devices that stay are written, which would expire otherwise."""

NODES = "as:nodes"

log = structlog.get_logger()


class ValkeyCluster:
    """A `Cluster` over `link`, as a node with a name that no other one ever had. Its `parts` share
    the sessions."""

    is_durable = True

    def __init__(
        self,
        link: Link,
        meter: Instrumentation | None = None,
        *,
        parts: Sequence[Part] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = {channel: part for part in parts for channel in part.channels}
        self.node = token_hex(8)
        self.is_up: AsyncValue[bool] = AsyncValue(False)
        self._link = link
        self._meter = meter or Instrumentation()
        self._clock = clock
        self._engine_clock = EngineClock(clock)
        self._listener = Listener()
        self._session: Session | None = None
        self._known = KnownDevices(self._meter.provisional_devices)
        self._unsettled: dict[str, None] = {}
        self._reclaiming: dict[str, trio.Event] = {}
        self._renewing: dict[str, int] = {}
        self._unconfirmed = Unconfirmed(KEPT_S, self._begin_to_be_slow)

    @asynccontextmanager
    async def joined(self, listener: Listener) -> AsyncIterator[None]:
        """Be a node for the block. Its end waits `LAST_S` at most for the engine."""
        self._listener = listener
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._link.run, self._begin, self._pushed)
            try:
                yield
            finally:
                with trio.move_on_after(LAST_S, shield=True):
                    await self._leave()
            nursery.cancel_scope.cancel()

    async def _leave(self) -> None:
        """Return when all that was sent is written."""
        if self._session is not None:
            try:
                await self._session.flush("ZREM", NODES, self.node)
            except ClusterDown:
                return

    def _now_us(self) -> int:
        return round(self._engine_clock.nearest() * 1e6)

    # Sessions

    async def _begin(self, session: Session) -> None:
        """Be a node in one session, until it is cancelled."""
        for channel in (f"as:n:{self.node}", *self._parts):
            session.subscribe(channel)
        nodes = await self._beat(session)
        self._link.came_up(node=self.node, nodes=nodes)
        self._unsettle_all()
        self._set_session(session)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_rows, session)
                for part in dict.fromkeys(self._parts.values()):
                    nursery.start_soon(part.run, session)
                while True:
                    await trio.sleep(BEAT_S)
                    await self._beat(session)
        finally:
            self._set_session(None)

    async def _beat(self, session: Session) -> int:
        """Show that the node lives, and return how many nodes do. Raises `ClusterDown`."""
        asked_at = self._clock()
        engine_us, nodes = await session.call(BEAT, NODES, self.node)
        self._engine_clock.told(asked_at, int(engine_us) / 1e6)
        self._meter.cluster_nodes(int(nodes))
        return int(nodes)

    def _set_session(self, session: Session | None) -> None:
        self._session = session
        self.is_up.value = session is not None
        self._meter.cluster_is(up=session is not None)
        if session is None:
            self._meter.cluster_nodes(0)

    async def _keep_rows(self, session: Session) -> None:
        """Reclaim the devices that are here, now and once a day."""
        while True:
            while batch := list(islice(self._unsettled, RECLAIMED_AT_ONCE)):
                await self._reclaim(session, batch)
            await trio.sleep(TOUCHED_S)
            self._unsettle_all()

    def _unsettle_all(self) -> None:
        """Have all devices that are here reclaimed, and those that have left with a mode of which
        the engine, or enough replicas of it, said nothing."""
        self._unsettled.update(dict.fromkeys(self._known.here()))
        for device_id in self._unconfirmed.devices():
            if self._known.get(device_id) is None:
                self._unconfirmed.drop(device_id)
            else:
                self._unsettled[device_id] = None

    def _pushed(self, message: list[Any]) -> None:
        if message[0] != "message":
            return
        if (part := self._parts.get(message[1])) is not None:
            part.heard(message[1], message[2])
        else:
            what, epoch, device_id = (*message[2].split(" ", 2), "", "")[:3]
            is_known = what == "moved" and epoch.isdecimal() and device_id != ""
            # Otherwise the answer of a reclaim or of a newer call tells.
            if is_known and not (device_id in self._unsettled or device_id in self._renewing):
                self._lose(device_id, int(epoch))

    def _lose(self, device_id: str, epoch: int) -> None:
        """Another node has a device, since that epoch."""
        known = self._known.get(device_id)
        if known is None or known.epoch < epoch:
            self._forget(device_id)
        self._listener.moved(device_id, epoch)

    def _forget(self, device_id: str) -> None:
        self._known.forget(device_id)
        self._unsettled.pop(device_id, None)
        self._unconfirmed.drop(device_id)
        if self._session is not None:
            self._session.drop(device_id)

    # Claims

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        """Have a device. An engine that is slow is waited for, one that is down is not."""
        arrived = self._clock() - waited_s
        patience = trio.current_time() + DOWN_S
        while True:
            try:
                return await self._claim(device_id, arrived)
            except ClusterDown:
                if (known := self._known.get(device_id)) is not None:
                    return self._let_in(device_id, known.epoch, known.mode, arrived)
            with trio.move_on_at(patience) as waited:
                await self.is_up.wait_value(True)
            if waited.cancelled_caught:
                known = self._known.get(device_id) or Known()  # another call was let in meanwhile
                return self._let_in(device_id, known.epoch, known.mode, arrived)

    async def _claim(self, device_id: str, arrived: float) -> Claimed:
        """Ask the engine. Raises `Superseded` and `ClusterDown`."""
        if self._session is None:
            raise ClusterDown
        if device_id in self._unsettled:
            await self._reclaim(self._session, [device_id])
        if self._session is None:
            raise ClusterDown
        known = self._known.get(device_id) or Known()
        waited_us = age_us(self._clock(), arrived)
        hear = partial(self._on_claimed, device_id)
        args = self._claim_args(known, waited_us)
        claimed = await self._session.ask(hear, CLAIM, _row(device_id), *args)
        if claimed is None:
            raise Superseded(Superseded.ELSEWHERE)
        if isinstance(claimed, ClusterDown):
            raise ClusterDown  # another one: a name for it here would be a cycle
        return claimed

    def _claim_args(self, known: Known, waited_us: int) -> tuple[str | int, ...]:
        facts = known.epoch, known.mode, int(known.is_here)
        return (self.node, waited_us, self._now_us(), *facts)

    def _on_claimed(self, device_id: str, answer: Any) -> Claimed | ClusterDown | None:
        if isinstance(answer, ClusterDown):
            return answer
        if answer[0] == "superseded":
            if self._known.get(device_id) is not None:
                self._lose(device_id, int(answer[1]))
            return None
        claimed = Claimed(int(answer[1]), int(answer[2]))
        known = self._known.get(device_id)
        if known is not None and known.epoch == claimed.epoch:
            claimed = claimed._replace(mode=known.mode)  # one may have been put since
            self._known.hold(device_id, *claimed)
        else:
            known = self._known.hold(device_id, *claimed)
            known.let_in_at = known.pressed_at = None
        return claimed

    def renew(self, device_id: str, waited_s: float) -> None:
        """Tell of a newer call of a device that is here."""
        known = self._known.get(device_id)
        if known is None or not known.is_here:
            return
        arrived = self._clock() - waited_s
        if self._session is None or device_id in self._unsettled:
            self._let_in(device_id, known.epoch, known.mode, arrived)
            return
        self._renewing[device_id] = self._renewing.get(device_id, 0) + 1
        heard = partial(self._on_renewed, device_id, known.epoch, arrived)
        args = self._claim_args(known, age_us(self._clock(), arrived))
        self._session.send(heard, CLAIM, _row(device_id), *args)

    def _on_renewed(self, device_id: str, epoch: int, arrived: float, answer: Any) -> None:
        self._renewing[device_id] -= 1
        if not self._renewing[device_id]:
            del self._renewing[device_id]
        known = self._known.get(device_id)
        if known is None or not known.is_here:
            return  # it has left, and was released after this
        claimed = self._on_claimed(device_id, answer)
        if isinstance(claimed, ClusterDown):
            self._let_in(device_id, known.epoch, known.mode, arrived)
        elif claimed is not None and claimed.epoch != epoch:  # it was elsewhere for a moment
            self._listener.reclaimed(device_id, *claimed)

    def _let_in(self, device_id: str, epoch: int, mode: int, arrived: float) -> Claimed:
        """Have a device without a grant, and claim it once the engine is back."""
        known = self._known.hold(device_id, epoch, mode)
        known.let_in_at = max(arrived, known.let_in_at or arrived)
        self._unsettled[device_id] = None
        return Claimed(epoch, mode)

    def release(self, device_id: str) -> None:
        """Let a device go; one with modes that are not kept is known until they are."""
        forgotten = self._known.leave(device_id)
        if forgotten is not None:
            self._forget(forgotten)
        if device_id not in self._unsettled and self._session is not None:
            heard = partial(self._on_released, device_id)
            self._session.send(heard, RELEASE, _row(device_id), self.node)

    def _on_released(self, device_id: str, answer: Any) -> None:
        """A claim that was cancelled may have been granted since the release was sent."""
        if not isinstance(answer, ClusterDown):
            self._known.leave(device_id)

    # Modes

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        """Write a mode, now or when the device is reclaimed."""
        known = self._known.get(device_id)
        if known is None or known.epoch != epoch:
            return
        known.mode, known.pressed_at = mode, self._clock()
        self._write_mode(device_id, known, self._unconfirmed.add(device_id))

    def _write_mode(self, device_id: str, known: Known, number: int) -> None:
        if self._session is None or device_id in self._unsettled:
            self._unsettled[device_id] = None
            return
        heard = partial(self._on_mode, device_id, self._session, number)
        args = self.node, known.epoch, known.mode
        self._session.send(heard, PUT_MODE, _row(device_id), *args)

    def _on_mode(self, device_id: str, session: Session, number: int, answer: Any) -> None:
        if isinstance(answer, ClusterDown):
            if self._known.get(device_id) is not None:
                self._unsettled[device_id] = None
        elif answer[0] == "over":
            self._lose(device_id, int(answer[1]))
        else:
            session.when_replicated(
                device_id, partial(self._unconfirmed.confirm, device_id, number)
            )

    async def wait_durable(self, device_id: str) -> None:
        """Return when all modes of a device are kept, or cannot be; within `KEPT_S`."""
        if not await self._unconfirmed.wait(device_id):
            self._meter.acknowledged_from_memory()

    def _begin_to_be_slow(self) -> None:
        reason = "the cluster is down" if self._session is None else "the cluster is silent"
        log.warning("modes are acknowledged from memory", reason=reason)

    # After a break

    async def _reclaim(self, session: Session, device_ids: Sequence[str]) -> None:
        """Have devices again that are here, and keep the modes of others; those of which the engine
        does not answer stay unsettled."""
        async with trio.open_nursery() as nursery:
            for device_id in device_ids:
                nursery.start_soon(self._reclaim_one, session, device_id)

    async def _reclaim_one(self, session: Session, device_id: str) -> None:
        known = self._known.get(device_id)
        if known is None or device_id not in self._unsettled:
            self._unsettled.pop(device_id, None)
            return
        if (other := self._reclaiming.get(device_id)) is not None:  # two would make two epochs
            await other.wait()
            return
        over = self._reclaiming[device_id] = trio.Event()
        hear = partial(self._on_reclaimed, device_id, session, self._unconfirmed.newest(device_id))
        args: tuple[str | int, ...] = (
            self.node,
            self._now_us(),
            *known.facts(self._clock()),
        )
        try:
            await session.ask(hear, RECLAIM, _row(device_id), *args)
        finally:
            del self._reclaiming[device_id]
            over.set()

    def _on_reclaimed(self, device_id: str, session: Session, number: int, answer: Any) -> None:
        if isinstance(answer, ClusterDown) or device_id not in self._unsettled:
            return
        what, epoch, *rest = answer
        if what == "moved":
            self._lose(device_id, int(epoch))
            return
        del self._unsettled[device_id]
        known = self._known.reclaimed(device_id, int(epoch))
        if number:
            session.when_replicated(
                device_id, partial(self._unconfirmed.confirm, device_id, number)
            )
        newest = self._unconfirmed.newest(device_id)
        if newest > number:  # put while the engine answered
            self._write_mode(device_id, known, newest)
        else:
            known.mode, known.pressed_at = int(rest[0]), None
        if known.is_here:
            self._listener.reclaimed(device_id, known.epoch, known.mode)
        else:
            session.send(lambda _: None, RELEASE, _row(device_id), self.node)


def _row(device_id: str) -> str:
    return f"as:d:{device_id}"
