"""The keys of a fleet's rows, made anew after a second: many that watch cost as much as one."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import trio

from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Row
from audio_server.fleet.listing import Key, Wanted, following, keys_of

RECENT_S = 1.0
"""How old the rows may be among which nodes that watch are given the first ones."""

LISTS_MAX = 8
"""Lists of keys that are kept, each of another order or search."""


class Places(NamedTuple):
    """How many keys there are, and some of them, evenly spaced, with their places."""

    found: int
    keys: Sequence[Key]
    places: Sequence[int]


class KeysFrom(NamedTuple):
    """Keys that follow another one, how many there are in all, and how many are before them."""

    keys: Sequence[Key]
    found: int
    before: int


class RecentKeys:
    """The keys of the rows that are wanted, as they were a moment ago."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._rows: dict[tuple[bool, bool], tuple[float, list[Row]]] = {}
        self._keys: dict[Wanted, tuple[float, list[Key]]] = {}
        self._turn = trio.Lock()

    async def places(self, wanted: Wanted, count: int) -> Places:
        """Return `count` of the keys, evenly spaced."""
        keys = await self._all(wanted)
        step = max(1, len(keys) // max(1, count))
        places = range(step - 1, len(keys), step)
        return Places(len(keys), [keys[place] for place in places], list(places))

    async def first(self, wanted: Wanted) -> KeysFrom:
        """Return the first keys after `wanted.after`, so many as `wanted.limit`."""
        keys = await self._all(wanted)
        found = following(keys, wanted)
        return KeysFrom(found[: wanted.limit], len(keys), len(keys) - len(found))

    async def _all(self, wanted: Wanted) -> list[Key]:
        """Return all keys, in their order."""
        of_list = wanted._replace(after=None, limit=None)
        async with self._turn:
            made_at, keys = self._keys.get(of_list, (-inf, []))
            if trio.current_time() - made_at > RECENT_S:
                rows_at, rows = await self._recent(of_list)
                keys = list((await keys_of(rows, of_list)).keys)
                self._keep(of_list, rows_at, keys)
            return keys

    def _keep(self, of_list: Wanted, made_at: float, keys: list[Key]) -> None:
        """Keep a list, and of the others those that are of use."""
        oldest = trio.current_time() - RECENT_S
        self._keys = {one: told for one, told in self._keys.items() if told[0] >= oldest}
        self._keys[of_list] = made_at, keys
        while len(self._keys) > LISTS_MAX:
            del self._keys[next(iter(self._keys))]

    async def _recent(self, wanted: Wanted) -> tuple[float, list[Row]]:
        """Return all rows among which the wanted ones are, and when they were made."""
        which = wanted.includes_connected, wanted.includes_away
        made_at, rows = self._rows.get(which, (-inf, []))
        if trio.current_time() - made_at > RECENT_S:
            rows = list(await self._fleet.all(wanted))
            made_at = trio.current_time()
            self._rows = {which: (made_at, rows)}
        return made_at, rows
