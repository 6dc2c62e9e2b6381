"""Cursors of lists: one of another list is refused, whatever it holds."""

from __future__ import annotations

import base64
from typing import get_args

import msgspec
import pytest
import trio
from fleet_kit import standing
from trio.testing import MockClock

from audio_server.fleet.listing import Key, Sort, Wanted, cursor_of, following, key_at, ordered
from audio_server.fleet.recent_keys import RECENT_S, RecentKeys

TEXTS = ("name", "plays", "address")


@pytest.mark.parametrize("sort", [sort for sort in get_args(Sort) if sort != "id"])
def test_a_cursor_can_be_compared_with_its_list(sort: Sort) -> None:
    keys: list[Key] = [([value], value) for value in "abc"]
    if sort not in TEXTS:
        keys = [([float(number)], str(number)) for number in range(3)]
    after = key_at(cursor_of(keys[0], sort), sort)
    assert ordered(keys, Wanted(sort=sort, after=after)) == keys[1:]
    for value in (["a"], [1], [None], [["a"]], "a", {}):
        cursor = base64.urlsafe_b64encode(msgspec.json.encode((value, "x"))).decode()
        try:
            after = key_at(cursor, sort)
        except ValueError:
            continue
        ordered(keys, Wanted(sort=sort, after=after))


@pytest.mark.parametrize("backwards", [False, True])
def test_keys_that_follow_one_are_found_in_their_order(backwards: bool) -> None:
    wanted = Wanted(sort="mode", backwards=backwards)
    values = [[1.0], [0.0], None, [1.0], None, [2.0]]
    keys = ordered([(value, str(number)) for number, value in enumerate(values)], wanted)
    for number, key in enumerate(keys, 1):
        assert following(keys, wanted._replace(after=key)) == keys[number:]
    absent = wanted._replace(after=([1.0], "2"))
    assert following(keys, absent)[0] == ([1.0], "3")


async def test_keys_that_are_old_are_not_kept(autojump_clock: MockClock) -> None:
    async with standing() as at:
        recent = RecentKeys(at.fleet)
        await recent.first(Wanted(sort="name"))
        await recent.first(Wanted(sort="mode"))
        assert len(recent._keys) == 2
        await trio.sleep(2 * RECENT_S)
        await recent.first(Wanted(sort="id"))
        assert len(recent._keys) == 1
