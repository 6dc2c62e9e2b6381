"""One interface to all devices, whichever process they are connected to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import trio

from audio_server.device.behaviour import Button
from audio_server.fleet.announcements import Order, Reports
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

if TYPE_CHECKING:
    from audio_server.fleet.listing import Keys, Page, Wanted

Row: TypeAlias = dict[str, Any]
"""A device in types of JSON; `snapshot.facts` documents the keys."""

Event: TypeAlias = dict[str, Any]
"""An event of a device in types of JSON."""


class Outcome(NamedTuple):
    """The outcome of an action on a device."""

    result: Literal["done", "gone", "failed"]
    """`gone`: no such device is connected."""

    reason: str | None = None
    """The reason of a failure, in one line."""


Outcomes: TypeAlias = Mapping[str, Outcome]
"""By the id of each device."""


class TagListener(Protocol):
    """Receives changes of tags."""

    def retag(self, device_id: str) -> None:
        """The tags of a device are others, by a change of this server or of another node. Called in
        the midst of it: must return at once, and raise nothing."""

    async def settle(self) -> None:
        """Return when all changes so far have had their effect. Called before an operator that
        changed tags is answered."""


class NoListener:
    """A `TagListener` of a server where no group has settings."""

    def retag(self, device_id: str) -> None:
        """Do nothing."""

    async def settle(self) -> None:
        """Return at once."""


class OutcomesOfNodes(dict[str, Outcome]):
    """`Outcomes` of several nodes. `missing` are the names of those whose devices are left out, for
    they gave no answer."""

    missing: Sequence[str] = ()


def missing_of(outcomes: Outcomes) -> Sequence[str]:
    """Return the names of the nodes that are missing in outcomes."""
    return outcomes.missing if isinstance(outcomes, OutcomesOfNodes) else ()


class NotReached(Exception):
    """Nothing can be said of a device: a node that may have it gives no answer. `str()` is the
    reason."""


IS_CONNECTED = Outcome("failed", "it is connected; only devices that are away can be forgotten")
DONE = Outcome("done")
GONE = Outcome("gone")


class NotKept(Exception):
    """A change cannot be kept now; `str()` is the reason in one line."""


class Fleet(Protocol):
    """All devices, each by its id. `run` must be running."""

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""

    async def run(self) -> None:
        """Serve subscribers until cancelled; a cancel ends all subscriptions."""

    async def rows(self) -> Sequence[Row]:
        """Return all connected devices."""

    async def away(self) -> Sequence[Row]:
        """Return all devices of the inventory that are not connected."""

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device, connected or not."""

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the ids of all devices that have a tag, connected or not."""

    async def row(self, device_id: str) -> Row | None:
        """Return one device, also one that is away; None for an unknown id. Raises `NotReached`
        where another node may have it that does not answer."""

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return these devices, also those that are away; unknown ids are left out."""

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted. A fleet of several nodes always sets a limit."""

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""

    def watching(
        self, wanted: Wanted | None = None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events: `all` with all rows, then `changes`, with rows that changed
        and the ids of devices that are gone. Of very many rows `all` has the first, and `changes`
        right after it the others. `away` has rows of absent devices that an operator changed, and
        `forgotten` ids. They end with `run`, and for a subscriber that is too slow.

        A fleet of several nodes gives the rows that are wanted, and no others: see `windows`."""

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events of one device or of all (None), oldest first."""

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events of one device or of all from now on. They end as `watching` does."""

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button as the device itself would; return when the press is applied."""

    async def press_each(self, device_ids: Sequence[str] | None, button: Button) -> Outcomes:
        """Press a button of some devices or of all (None) that are connected, a few at a time;
        return when that is applied. A cancel is as for `play`."""

    async def play(self, device_ids: Sequence[str] | None, clip: int | str) -> Outcomes:
        """Play a clip now, by its mode, or by its name or title in the clips of each device, or
        the live channel of that name, on some devices or on all (None) that are connected. Their
        modes stay. A cancel leaves the devices that follow as they are."""

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback and empty the queue. Modes stay. A cancel is as for `play`."""

    async def announce(self, device_ids: Sequence[str] | None, order: Order) -> Outcomes:
        """Make an announcement on some devices or on all (None) that are connected; return when it
        plays or waits on each that is `done`. A cancel leaves the devices that follow as they
        are."""

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is. The order is to be given `again` every second or
        so: a trial that is not asked for ends, and the device is as before."""

    async def reports(self, announcement_id: str) -> Reports:
        """Return what has become of an announcement on each device that took it, as far as it is
        known; empty for one that is unknown or long past."""

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away. Raises `BadName` for an unusable name, and
        `NotKept`."""

    async def tag(
        self, device_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Outcomes:
        """Give devices tags, and take others away. Raises `BadName` for an unusable tag, and
        `NotKept`, where some may have them already. A cancel is as for `play`."""

    def follow_tags(self, listener: TagListener) -> None:
        """Report each change of tags to `listener`, and to no other."""

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory, with its name, tags and mode; fails for one that is
        connected. Raises `NotKept`."""
