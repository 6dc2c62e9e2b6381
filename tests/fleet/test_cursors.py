"""Cursors of lists: one of another list is refused, whatever it holds."""

from __future__ import annotations

import base64
from typing import get_args

import msgspec
import pytest

from audio_server.fleet.listing import Key, Sort, Wanted, cursor_of, key_at, ordered

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
