"""Places for connections: which one gives way, what an address may take, and how often it comes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from audio_server.rpc.limits import Limits
from audio_server.rpc.trusted_proxies import PeerLimits
from audio_server.web import places
from audio_server.web.places import FRUITLESS, Entrance, Places
from audio_server.web.visit import Stage, Visit

LOCAL = "127.0.0.1"


class Door:
    """Places with connections from wherever a test wants them."""

    def __init__(self) -> None:
        self.places = Places()
        self.ended: list[str] = []

    def enter(self, host: str = LOCAL, name: str = "", now: float = 0) -> Entrance:
        return self.places.enter(host, lambda: self.ended.append(name), now)

    def visit(self, host: str = LOCAL, name: str = "") -> Visit:
        visit = self.enter(host, name).visit
        assert visit is not None
        return visit

    def served(self, host: str = LOCAL) -> Visit:
        visit = self.visit(host)
        visit.begin()
        assert visit.admit()
        visit.complete()
        return visit


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(places, "CONNECTIONS_MAX", 4)
    monkeypatch.setattr(places, "RESERVED", 0)
    return Door()


def test_a_place_that_is_left_is_free(door: Door) -> None:
    visits = [door.served() for _ in range(4)]
    assert door.enter() == (None, "full", None)
    door.places.leave(visits[0], 0)
    assert door.enter().visit is not None
    assert len(door.places) == 4


def test_the_silent_give_way_first_then_the_idle_then_those_that_still_ask(door: Door) -> None:
    idle, asking, silent = (door.visit(name=name) for name in ("idle", "asking", "silent"))
    idle.begin()
    idle.rest()
    asking.begin()
    door.served()
    for expected in ("silent", "idle", "asking"):
        door.served()
        assert door.ended[-1] == expected
    assert door.enter().reason == "full"
    assert len(door.places) == 4
    for late in (idle, asking, silent):
        late.rest()
        door.places.leave(late, 0)
    assert len(door.places) == 4


def test_a_request_that_was_let_in_but_does_not_come_whole_can_give_way(door: Door) -> None:
    slow = door.visit(name="slow")
    slow.begin()
    slow.admit()
    assert slow.stage is Stage.ASKING
    for _ in range(4):
        door.served()
    assert door.ended == ["slow"]


def test_the_oldest_of_the_silent_gives_way(door: Door) -> None:
    for name in "abcd":
        door.visit(name=name)
    door.visit()
    door.visit()
    assert door.ended == ["a", "b"]


@pytest.mark.parametrize(
    ("host", "other"),
    [("10.0.0.1", "::ffff:10.0.0.1"), ("2001:db8::1", "2001:db8::2"), ("10.0.0.1", "10.0.0.1")],
)
def test_an_address_that_has_its_share_gives_way_to_itself_alone(
    host: str, other: str, door: Door
) -> None:
    door.visit("10.0.0.9", "somebody")
    door.served(host)
    door.visit(host, "own")
    assert door.enter(other).visit is not None
    assert door.ended == ["own"]
    door.places = Places()
    for _ in range(2):
        door.served(host)
    assert door.enter(other).reason == "address"
    assert door.enter("10.0.0.9").visit is not None


def test_this_machine_may_take_all(door: Door) -> None:
    for host in (LOCAL, "::1", "::ffff:127.0.0.1", LOCAL):
        door.served(host)
    assert door.enter().reason == "full"


def test_a_trusted_proxy_may_take_all_and_comes_as_often_as_it_likes(door: Door) -> None:
    door.places = Places(PeerLimits(Limits(), [ip_network("10.0.0.0/24")]))
    burst, _ = FRUITLESS
    assert {come_and_go(door, "10.0.0.7", 0) for _ in range(2 * burst)} == {None}
    for host in ("10.0.0.7", "::ffff:10.0.0.7", "10.0.0.7", "10.0.0.7"):
        door.served(host)
    assert door.enter("10.0.0.7").reason == "full"


def test_those_that_are_served_leave_places_for_probes(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "RESERVED", 1)
    served = [door.served() for _ in range(3)]
    for name in "ab":
        late = door.visit(name=name)
        late.begin()
        assert not late.admit()
        late.complete()
        assert late.stage is Stage.ASKING
    assert door.ended == ["a"]
    served[0].rest()
    late.begin()
    assert late.admit()


def come_and_go(door: Door, host: str, now: float, *, known: bool = False) -> Any:
    entrance = door.enter(host, now=now)
    if entrance.visit is not None:
        if known:
            entrance.visit.admit()
        door.places.leave(entrance.visit, now)
    return entrance.reason


def test_who_comes_for_nothing_comes_so_often_and_no_more(door: Door) -> None:
    burst, per_s = FRUITLESS
    assert {come_and_go(door, "10.0.0.1", 0) for _ in range(burst)} == {None}
    assert come_and_go(door, "10.0.0.1", 0) == "rate"
    assert come_and_go(door, "10.0.0.2", 0) is None
    assert come_and_go(door, "10.0.0.1", 1 / per_s) is None
    assert come_and_go(door, "10.0.0.1", 1 / per_s) == "rate"


def test_operators_and_this_machine_come_as_often_as_they_like(door: Door) -> None:
    burst, _ = FRUITLESS
    for host, known in (("10.0.0.1", True), (LOCAL, False), ("::1", False)):
        reasons = {come_and_go(door, host, 0, known=known) for _ in range(2 * burst)}
        assert reasons == {None}


def test_one_that_gave_way_came_for_nothing_too(door: Door) -> None:
    burst, _ = FRUITLESS
    visits = [door.visit("10.0.0.1") for _ in range(burst)]
    for visit in visits:
        door.places.leave(visit, 0)
    assert door.enter("10.0.0.1").reason == "rate"
