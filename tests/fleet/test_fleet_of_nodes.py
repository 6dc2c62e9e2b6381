"""The devices of several nodes as one fleet, from any of them, whatever is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from fleet_kit import CLIPS, next_event, press
from node_stand import Nodes, open_nodes
from structlog.testing import capture_logs
from trio.testing import MockClock

from audio_server.cluster.peers import UNKNOWN_NODES
from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button, State
from audio_server.fleet import of_nodes
from audio_server.fleet.announcements import Order
from audio_server.fleet.interface import NotReached, missing_of
from audio_server.fleet.listing import Wanted
from audio_server.fleet.of_nodes import ACT_S
from audio_server.fleet.rows_of_nodes import KEYS_S
from audio_server.web.api.devices import chosen, summed_up
from audio_server.web.api.models import Found, Group

SHOWN_S = 3.0
"""After which the LEDs of a device that has come rest."""

ONE_EACH = (("a", "x"), ("b", "y"), ("c", "z"))


def state(nodes: Nodes, node: str, device_id: str) -> State:
    return nodes[node].devices.by_id[device_id].state


async def listed(nodes: Nodes, **wanted: Any) -> list[str]:
    page = await nodes["a"].fleet.listed(Wanted(**wanted))
    return [row["id"] for row in page.rows]


# -- what is seen


async def test_rows_of_all_nodes_name_their_node(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH):
            for node in ("a", "b", "c"):
                page = await nodes[node].fleet.listed(Wanted())
                told = {row["id"]: row["node"] for row in page.rows}
                assert told == {"x": "a:50051", "y": "b:50051", "z": "c:50051"}
                assert (page.found, page.last, page.missing) == (3, None, ())
            row = await nodes["a"].fleet.row("y")
            assert (row["id"], row["connected"], row["node"]) == ("y", True, "b:50051")
            assert await nodes["a"].fleet.row("nobody") is None
        row = await nodes["a"].fleet.row("y")
        assert not row["connected"]


async def test_lists_are_sorted_found_and_cut_over_all_nodes(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        devices = [("abc"[n % 3], f"d{n}") for n in range(30)]
        with nodes.connected(*devices) as links:
            for number in (3, 10, 25):
                await press(links[f"d{number}"], Button.MODE, Button.PLAY)
            await nodes["b"].fleet.rename("d4", "Küche 10")
            await nodes["b"].fleet.rename("d7", "Küche 9")
            by_name = await listed(nodes, sort="name")
            assert by_name == [*(f"d{n}" for n in range(30) if n not in (4, 7)), "d7", "d4"]
            assert await listed(nodes, sort="name", backwards=True) == by_name[::-1]
            assert await listed(nodes, sort="mode", limit=28) == [
                key for key in sorted(by_name) if key not in ("d3", "d10", "d25")
            ] + ["d10"]
            assert await listed(nodes, state="playing", sort="name") == ["d3", "d10", "d25"]
            assert await listed(nodes, q="küche", sort="name") == ["d7", "d4"]
            pages: list[str] = []
            wanted = Wanted(sort="plays", limit=7)
            while True:
                page = await nodes["c"].fleet.listed(wanted)
                pages += [row["id"] for row in page.rows]
                assert page.found == 30
                if page.last is None:
                    break
                assert len(page.rows) == 7
                wanted = wanted._replace(after=page.last)
            assert pages[:3] == ["d10", "d25", "d3"]  # the same clip: by their ids
            assert sorted(pages) == sorted(by_name)
            assert {one["id"] for one in await nodes["a"].fleet.rows()} == set(by_name)


async def test_a_device_that_is_away_is_listed_once_and_not_if_it_is_elsewhere(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        for node in ("a", "b"):
            with nodes.connected((node, "gone"), (node, "moved")):
                await trio.sleep(3)
            await trio.sleep(3)
        with nodes.connected(("c", "moved")):
            await trio.sleep(3)
            page = await nodes["a"].fleet.listed(Wanted("offline"))
            assert [(row["id"], row["node"]) for row in page.rows] == [("gone", "b:50051")]
            page = await nodes["a"].fleet.listed(Wanted("all"))
            told = {row["id"]: (row["node"], row["connected"]) for row in page.rows}
            assert told == {"gone": ("b:50051", False), "moved": ("c:50051", True)}
            assert [row["id"] for row in await nodes["a"].fleet.away()] == ["gone"]
            assert (await nodes["a"].fleet.forget("moved")).result == "failed"
            assert (await nodes["c"].fleet.forget("gone")).result == "done"
            assert await nodes["b"].fleet.away() == []
            assert (await nodes["c"].fleet.forget("gone")).result == "gone"


# -- a window


async def test_a_window_has_its_rows_and_tells_of_changes(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*(("abc"[n % 3], f"d{n}") for n in range(9))) as links:
            await trio.sleep(SHOWN_S)
            wanted = Wanted(sort="name", limit=4)
            with nodes["a"].fleet.watching(wanted) as events:
                name, told = await next_event(events)
                assert name == "all"
                assert [row["id"] for row in told["rows"]] == ["d0", "d1", "d2", "d3"]
                assert (told["found"], told["missing"]) == (9, [])
                assert told["counts"] == {"connected": 9, "playing": 0, "failing": 0, "nodes": 3}
                for device_id, node in (("d0", "a"), ("d1", "b")):
                    at = trio.current_time()
                    await press(links[device_id], Button.MODE)
                    name, told = await next_event(events)
                    assert name == "changes"
                    assert [(row["id"], row["mode"]) for row in told["rows"]] == [(device_id, 1)]
                    assert told["rows"][0]["node"] == f"{node}:50051"
                    assert trio.current_time() - at < 1
                await press(links["d8"], Button.MODE)  # not in the window
                await trio.sleep(5)
                assert events.statistics().current_buffer_used == 0
                await nodes["c"].fleet.rename("d8", "A")
                _, told = await next_event(events)
                assert [row["id"] for row in told["rows"]] == ["d8"]
                assert told["gone"] == ["d3"]


async def test_a_device_that_moves_is_shown_at_its_new_node_soon(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        with nodes["a"].fleet.watching() as events:
            with nodes.connected(("b", "x")):
                while not (told := (await next_event(events))[1])["rows"]:
                    pass
                assert told["rows"][0]["node"] == "b:50051"
                await trio.sleep(SHOWN_S)
                while events.statistics().current_buffer_used:
                    await events.receive()
            with nodes.connected(("c", "x")):
                began = trio.current_time()
                _, told = await next_event(events)
                assert told["rows"][0]["node"] == "c:50051"
                assert told["gone"] == []
                assert trio.current_time() - began < 1.5
            began = trio.current_time()
            while not (told := (await next_event(events))[1])["gone"]:
                pass
            assert trio.current_time() - began < 1.5


async def test_whoever_reads_too_slowly_begins_anew(autojump_clock: MockClock) -> None:
    async with open_nodes("a", "b") as nodes:
        with nodes.connected(("a", "x"), ("b", "y")) as links:
            with nodes["a"].fleet.watching() as events:
                for _ in range(100):
                    await press(links["y"], Button.MODE)
                    await trio.sleep(1)
                told = [one async for one in events]
                assert 10 < len(told) < 50
            assert not nodes["a"].fleet.is_full


OTHERS = ("keys", "rows", "follow", "events", "follow_events", "reports", "forget", "stop", "play")
OTHERS += ("press_each", "announce")


@contextmanager
def of_another_version(nodes: Nodes, node: str, *, is_newer: bool) -> Iterator[None]:
    """A node that answers in parts of its own, or knows none of the questions."""

    async def odd(**_: object) -> AsyncIterator[Any]:
        yield {"odd": [[7]]}

    answers = nodes[node].fleet._rows._answers._answering._answers
    before = dict(answers)
    answers.clear()
    if is_newer:
        answers |= dict.fromkeys(OTHERS, odd)
    yield
    answers |= before


@pytest.mark.parametrize("is_newer", [True, False])
async def test_a_node_of_another_version_is_named_as_that(
    is_newer: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(trio.to_thread, "run_sync", run_here)
    with capture_logs() as logs:
        async with open_nodes() as nodes:
            fleet = nodes["a"].fleet
            with nodes.connected(*ONE_EACH), of_another_version(nodes, "b", is_newer=is_newer):
                named = ("b:50051 (incompatible version)",)
                reason = "its node b:50051 has an incompatible version"
                for wanted in (Wanted(), Wanted("all"), Wanted(sort="mode"), Wanted("offline")):
                    page = await fleet.listed(wanted)
                    away = wanted.state == "offline"
                    assert [row["id"] for row in page.rows] == ([] if away else ["x", "z"])
                    assert page.missing == named
                with pytest.raises(NotReached, match="incompatible version"):
                    await fleet.row("y")
                assert [row["id"] for row in await fleet.rows_of(["x", "y", "z"])] == ["x", "z"]
                assert {one["device"] for one in await fleet.events(None)} == {"x", "z"}
                assert await fleet.reports("none") == {}
                assert (await fleet.forget("nobody")).result == "gone"
                acts = (
                    lambda ids: fleet.stop(ids),
                    lambda ids: fleet.play(ids, 1),
                    lambda ids: fleet.press_each(ids, Button.MODE),
                    lambda ids: fleet.announce(ids, Order("one", CLIPS[0])),
                )
                for act in acts:
                    outcomes = await act(None)
                    assert outcomes.keys() == {"x", "z"}
                    assert missing_of(outcomes) == named
                    outcomes = await act(["x", "y"])
                    assert outcomes["y"] == ("failed", reason)
                with fleet.watching() as rows, fleet.following(None) as events:
                    _, told = await next_event(rows)
                    assert told["missing"] == list(named)
                    await trio.sleep(10)
                    await fleet.press("x", Button.MODE)
                    while (await events.receive())["kind"] != "press":
                        pass
            page = await fleet.listed(Wanted("offline"))
            assert page.missing == ()
    assert [line["event"] for line in logs if line["log_level"] in ("error", "warning")] == [
        "a node has an incompatible version"
    ]


async def run_here(do: Any, *args: Any) -> Any:
    """Call a function on the loop, whose clock would run away meanwhile."""
    await trio.lowlevel.checkpoint()
    return do(*args)


# -- what is done


async def test_each_node_does_it_to_its_own_devices(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH, ("b", "w")):
            fleet = nodes["a"].fleet
            assert await fleet.press("y", Button.MODE) == ("done", None)
            assert state(nodes, "b", "y").mode == 1
            outcomes = await fleet.play(["x", "y", "nobody"], 3)
            results = {key: outcome.result for key, outcome in outcomes.items()}
            assert results == {"x": "done", "y": "done", "nobody": "gone"}
            assert missing_of(outcomes) == ()
            assert (state(nodes, "a", "x"), state(nodes, "b", "y")) == (State(0, 3), State(1, 3))
            assert state(nodes, "b", "w") == State(0)
            assert (await fleet.play(["y"], 9))["y"].reason == "there is no such clip"
            assert (await fleet.stop(None)).keys() == {"w", "x", "y", "z"}
            assert state(nodes, "b", "y") == State(1)
            assert (await fleet.press("nobody", Button.MODE)).result == "gone"
            pressed = await fleet.press_each(None, Button.MODE)
            assert {one.result for one in pressed.values()} == {"done"}
            assert [state(nodes, n, d).mode for n, d in (*ONE_EACH, ("b", "w"))] == [1, 2, 1, 1]
            tagged = await fleet.tag(["x", "z", "nobody"], ["lobby"], [])
            assert {key: one.result for key, one in tagged.items()} == {
                "x": "done",
                "z": "done",
                "nobody": "gone",
            }
            assert await listed(nodes, tag="lobby") == ["x", "z"]
            assert await fleet.tag_counts() == ({"lobby": (2, 2)}, [])
        with nodes.connected(("c", "z")):
            assert await fleet.tag_counts() == ({"lobby": (2, 1)}, [])
            nodes.silent.append("c")
            assert await fleet.tag_counts() == ({"lobby": (2, 0)}, ["c:50051"])


async def test_devices_that_match_are_told_with_the_nodes_that_are_missing(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH):
            fleet, all_of_them = nodes["a"].fleet, Group(match=Found())
            device_ids, missing = await chosen(fleet, all_of_them)
            assert (set(device_ids or ()), missing) == ({"x", "y", "z"}, [])
            nodes.silent.append("c")
            device_ids, missing = await chosen(fleet, all_of_them)
            assert (set(device_ids or ()), missing) == ({"x", "y"}, ["c:50051"])
            told = summed_up(await fleet.stop(device_ids), all_of_them, missing)
            assert (told.done, told.missing) == (2, ["c:50051"])


async def test_an_announcement_is_fetched_once_by_each_node() -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH, ("b", "w")):
            order = Order("one", CLIPS[0])
            outcomes = await nodes["a"].fleet.announce(None, order)
            assert {key: one.result for key, one in outcomes.items()} == dict.fromkeys(
                "wxyz", "done"
            )
            assert sorted(node for node, _ in nodes.fetched) == ["b", "c"]
            for node in ("a", "c"):
                reports = await nodes[node].fleet.reports("one")
                assert {key: one.hearing for key, one in reports.items()} == dict.fromkeys(
                    "wxyz", Hearing.PLAYING
                )
            assert (await nodes["a"].fleet.announce(["y"], Order("two", CLIPS[0]))).keys() == {"y"}


# -- events


async def test_events_of_all_nodes_in_order_and_live(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH) as links:
            fleet = nodes["a"].fleet
            with fleet.following("y") as mine, fleet.following(None) as everything:
                await trio.sleep(3)
                for device_id in ("y", "x", "z"):
                    await press(links[device_id], Button.MODE)
                    await trio.sleep(1)
                for events, device_ids in ((mine, {"y"}), (everything, {"x", "y", "z"})):
                    told = []
                    while events.statistics().current_buffer_used:
                        told.append(events.receive_nowait())
                    pressed = [one for one in told if one["kind"] == "press"]
                    assert {one["device"] for one in pressed} == device_ids
                    assert len(pressed) == len(device_ids)
            told = [one["at"] for one in await fleet.events(None)]
            assert told == sorted(told)
            assert {one["device"] for one in await fleet.events(None)} == {"x", "y", "z"}


async def test_events_have_numbers_of_their_own_in_the_order_of_time(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        for node in "bcacb":
            with nodes.connected((node, "x"), *ONE_EACH[1:]) as links:
                await press(links["x"], *[Button.MODE] * 7)
                await trio.sleep(3)
        told = await nodes["a"].fleet.events(None)
        numbers = [one["seq"] for one in told]
        assert len(numbers) > 50
        assert numbers == sorted(set(numbers))
        assert [one["at"] for one in told] == sorted(one["at"] for one in told)
        mine = [one["seq"] for one in await nodes["b"].fleet.events("x")]
        assert mine == [one["seq"] for one in told if one["device"] == "x"]


async def test_events_of_a_device_that_moves_are_followed(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes, trio.open_nursery():
        with nodes["a"].fleet.following("x") as events:
            texts = []
            for number, node in enumerate("bcbac"):
                with nodes.connected((node, "x")) as links:
                    await trio.sleep(1 if number % 2 else 2.5)
                    await press(links["x"], Button.MODE)
                    await trio.sleep(2.5)
            while events.statistics().current_buffer_used:
                texts.append(events.receive_nowait()["kind"])
            assert texts.count("press") == 5
            assert texts.count("connected") == 5


# -- nodes that are missing


async def test_a_node_that_hangs_is_named_and_never_waited_for_longer_than_the_deadline(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH):
            fleet = nodes["a"].fleet
            nodes.hung.add("b")
            began = trio.current_time()
            page = await fleet.listed(Wanted())
            assert [row["id"] for row in page.rows] == ["x", "z"]
            assert page.missing == ("b:50051",)
            assert trio.current_time() - began == pytest.approx(KEYS_S)
            for acts in (
                lambda: fleet.stop(None),
                lambda: fleet.play(None, 1),
                lambda: fleet.press_each(None, Button.MODE),
            ):
                began = trio.current_time()
                outcomes = await acts()
                assert outcomes.keys() == {"x", "z"}
                assert missing_of(outcomes) == ("b:50051",)
                assert trio.current_time() - began == pytest.approx(ACT_S)
            outcomes = await fleet.play(["x", "y"], 0)
            assert outcomes["x"].result == "done"
            assert outcomes["y"] == ("failed", "its node b:50051 gave no answer")
            assert missing_of(outcomes) == ("b:50051",)
            with pytest.raises(NotReached, match="b:50051"):
                await fleet.row("y")
            with fleet.watching() as events:
                _, told = await next_event(events)
                assert {row["id"] for row in told["rows"]} == {"x", "z"}
                assert told["missing"] == ["b:50051"]
                nodes.hung.clear()
                while "y" not in {row["id"] for row in told["rows"]}:
                    _, told = await next_event(events)
                assert told["missing"] == []


async def test_an_announcement_names_a_node_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_nodes, "ACT_S", 0.5)
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH):
            nodes.hung.add("b")
            outcomes = await nodes["a"].fleet.announce(None, Order("one", CLIPS[0]))
            assert {key: one.result for key, one in outcomes.items()} == {"x": "done", "z": "done"}
            assert missing_of(outcomes) == ("b:50051",)


async def test_a_node_that_is_silent_is_named_and_not_asked(autojump_clock: MockClock) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH):
            nodes.silent.append("b")
            began = trio.current_time()
            page = await nodes["a"].fleet.listed(Wanted())
            assert [row["id"] for row in page.rows] == ["x", "z"]
            assert page.missing == ("b:50051",)
            assert missing_of(await nodes["a"].fleet.stop(None)) == ("b:50051",)
            assert trio.current_time() == began
            assert "b" not in {node for node, _ in nodes.asked}


async def test_without_the_engine_the_own_devices_are_there_and_all_others_missing(
    autojump_clock: MockClock,
) -> None:
    async with open_nodes() as nodes:
        with nodes.connected(*ONE_EACH) as links:
            fleet = nodes["a"].fleet
            nodes.is_up = False
            others = ("b:50051", "c:50051", UNKNOWN_NODES)
            began = trio.current_time()
            page = await fleet.listed(Wanted())
            assert [row["id"] for row in page.rows] == ["x"]
            assert page.missing == tuple(sorted(others))
            assert (await fleet.row("x"))["id"] == "x"
            with pytest.raises(NotReached):
                await fleet.row("y")
            assert (await fleet.press("x", Button.MODE)).result == "done"
            assert (await fleet.press("y", Button.MODE)).result == "failed"
            outcomes = await fleet.stop(None)
            assert outcomes.keys() == {"x"}
            assert set(missing_of(outcomes)) == set(others)
            assert (await fleet.rename("x", "Küche")).result == "done"
            assert trio.current_time() == began
            outcomes = await fleet.announce(["x", "y"], Order("one", CLIPS[0]))
            assert (outcomes["x"].result, outcomes["y"].result) == ("done", "failed")
            assert set(missing_of(outcomes)) == set(others)
            with fleet.watching() as events, fleet.following(None) as followed:
                _, told = await next_event(events)
                assert [row["name"] for row in told["rows"]] == ["Küche"]
                await press(links["x"], Button.MODE)
                assert (await followed.receive())["device"] == "x"
