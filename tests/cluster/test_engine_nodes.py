"""Nodes of an engine: which there are, questions in time or never, and blobs that they offer."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
import trio
from engine import EngineProcess
from members import open_road, until
from peer_stand import peer

from audio_server.cluster import engine_offers, engine_questions
from audio_server.cluster.engine_clock import EngineClock
from audio_server.cluster.interface import ClusterDown, Incompatible, NoAnswer, Question, TooLate
from audio_server.cluster.peers import UNKNOWN_NODES, NodeFacts

# -- which nodes there are


async def test_nodes_know_each_other_by_their_heartbeats(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a:
        assert await a.nodes.around() == ({}, ())
        async with peer(engine.url, "b:2") as b:
            await a.wait_sees(b)
            assert (await a.nodes.around()).living == {b.id: NodeFacts("b:2", 2, 1)}
            b.facts = NodeFacts("b:2", 7, 0, 1, True)
            await a.wait_around({b.id: b.facts}, ())
            assert a.nodes.name_of(b.id) == "b:2"
            await until(lambda: a.member.meter.nodes == 2)
        assert await a.nodes.around() == ({}, ())  # it has said farewell


async def test_no_two_nodes_have_the_same_numbers(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        numbers = [await a.nodes.numbers(3), await b.nodes.numbers(1), await a.nodes.numbers(257)]
        assert numbers == [0, 3, 4]


async def test_a_question_of_another_version_is_refused(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        await a.wait_sees(b)
        b.answer = lambda question: question.refuse()
        with pytest.raises(Incompatible):
            await a.nodes.ask(b.id, "ping", 20.0)


async def test_a_node_that_is_killed_is_missing_and_then_forgotten(engine: EngineProcess) -> None:
    async with open_road(engine.port) as road, peer(engine.url, "a:1") as a:
        async with peer(f"redis://127.0.0.1:{road.port}", "b:2") as b:
            await a.wait_sees(b)
            road.cut()  # it cannot say farewell
        with pytest.raises(NoAnswer):
            await a.nodes.ask(b.id, "ping", 20.0)  # at once: nobody hears it
        await a.wait_around({}, ("b:2",))
        engine.ask("ZADD", "as:nodes", 1, b.id)  # more than a minute ago
        await a.wait_around({}, ())


async def test_without_the_engine_all_others_are_missing(engine: EngineProcess) -> None:
    async with open_road(engine.port) as road:
        url = f"redis://127.0.0.1:{road.port}"
        async with peer(engine.url, "b:2") as b, peer(url, "a:1") as a:
            await a.wait_sees(b)
            road.cut()
            await a.nodes.is_up.wait_value(False)
            began = trio.current_time()
            assert await a.nodes.around(60.0) == ({}, ("b:2", UNKNOWN_NODES))
            with pytest.raises(NoAnswer):
                await a.nodes.ask(b.id, "ping", 20.0)
            with pytest.raises(ClusterDown):
                await a.nodes.homes(["x"])
            assert trio.current_time() - began < 1
            road.heal()
            await a.wait_sees(b)


async def test_an_engine_that_hangs_does_not_hold_up_who_looks(engine: EngineProcess) -> None:
    async with peer(engine.url, "b:2") as b, peer(engine.url, "a:1") as a:
        await a.wait_sees(b)
        engine.hang()
        try:
            began = trio.current_time()
            assert await a.nodes.around() == ({}, ("b:2", UNKNOWN_NODES))
            assert trio.current_time() - began < 3
        finally:
            engine.go_on()
        await a.wait_sees(b)


async def test_homes_are_those_of_devices_that_are_connected(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        await a.member.cluster.claim("x", 0)
        await b.member.cluster.claim("y", 0)
        await b.member.cluster.claim("gone", 0)
        b.member.cluster.release("gone")
        assert b.member.cluster._session is not None
        await b.member.cluster._session.flush("PING")
        ids = ["x", "y", "gone", *map(str, range(500))]
        assert await a.nodes.homes(ids) == {"x": a.id, "y": b.id}


# -- questions


def echo(question: Question) -> None:
    question.add(question.facts["of"])
    question.add({"and": None})
    question.end(is_answered=True)


async def test_answers_find_their_questions(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        a.answer = b.answer = echo
        answers: dict[int, Any] = {}

        async def ask(number: int) -> None:
            one, other = (a, b) if number % 2 else (b, a)
            answers[number] = await one.nodes.ask(other.id, "echo", 20.0, of=[number, b"\xff", "é"])

        async with trio.open_nursery() as asking:
            for number in range(50):
                asking.start_soon(ask, number)
        assert answers == {n: [[n, b"\xff", "é"], {"and": None}] for n in range(50)}


async def test_parts_are_heard_as_they_come(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        heard: list[Any] = []
        async with trio.open_nursery() as nursery:

            async def ask() -> None:
                assert await a.nodes.ask(b.id, "follow", 20.0, heard.append) == []

            nursery.start_soon(ask)
            question = await b.wait_question()
            for number in range(3):
                question.add(number)
                await until(lambda: heard == list(range(number + 1)))  # noqa: B023
            question.end(is_answered=True)


async def test_an_error_of_a_listener_is_its_own(engine: EngineProcess) -> None:
    def hear(part: Any) -> None:
        raise trio.WouldBlock

    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        b.answer = echo
        with pytest.raises(trio.WouldBlock):
            await a.nodes.ask(b.id, "echo", 20.0, hear, of=1)
        assert await a.nodes.ask(b.id, "echo", 20.0, of=1) == [1, {"and": None}]


async def test_no_answer_in_time_is_too_late_and_what_comes_then_is_dropped(
    engine: EngineProcess,
) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        began = trio.current_time()
        with pytest.raises(TooLate):
            await a.nodes.ask(b.id, "press", 0.3)
        assert 0.3 <= trio.current_time() - began < 2
        echo_late = await b.wait_question()
        echo_late.add("late")
        echo_late.end(is_answered=True)
        b.answer = echo
        assert await a.nodes.ask(b.id, "echo", 20.0, of=1) == [1, {"and": None}]


async def test_an_answer_that_fails_is_none(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        b.answer = lambda question: question.end(is_answered=False)
        with pytest.raises(NoAnswer):
            await a.nodes.ask(b.id, "press", 20.0)


async def test_a_question_that_is_read_too_late_is_never_obeyed(engine: EngineProcess) -> None:
    """The way to the node is silent for longer than the question may take, and then delivers it."""
    async with open_road(engine.port) as road:
        url = f"redis://127.0.0.1:{road.port}"
        async with peer(engine.url, "a:1") as a, peer(url, "b:2") as b:
            obeyed: list[str] = []
            b.answer = lambda question: (obeyed.append(question.what), echo(question))[0]
            await a.nodes.ask(b.id, "first", 20.0, of=1)
            road.hush()
            with pytest.raises(TooLate):
                await a.nodes.ask(b.id, "late", 0.4)
            road.heal()
            await a.nodes.ask(b.id, "last", 20.0, of=1)
            assert obeyed == ["first", "last"]


def test_a_deadline_holds_however_slow_the_ways_to_the_engine_are() -> None:
    """Whatever the clocks of two machines say, and whenever the engine has read its own."""
    for asked_after, told_after in ((0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.2, 0.2)):
        wall = 1000.0
        asker = EngineClock(lambda: wall + 5)  # noqa: B023
        other = EngineClock(lambda: wall - 70)  # noqa: B023
        for clock in (asker, other):
            asked_at = clock.read()
            wall += asked_after
            engine_s = wall + 1e9
            wall += told_after
            clock.told(asked_at, engine_s)
        until_s = asker.earliest() + 2.0
        given_up = wall + 2.0
        wall = given_up - 0.5
        assert asked_after + told_after > 0.3 or other.latest() <= until_s
        wall = given_up + 0.001
        assert other.latest() > until_s


async def test_all_that_waits_is_bounded(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_questions, "ASKED_MAX", 3)
    monkeypatch.setattr(engine_questions, "ANSWERED_MAX", 2)
    monkeypatch.setattr(engine_questions, "MESSAGE_MAX_BYTES", 1000)
    monkeypatch.setattr(engine_questions, "ANSWER_MAX_BYTES", 2500)
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        with pytest.raises(NoAnswer):  # the question
            await a.nodes.ask(b.id, "large", 20.0, of="x" * 1000)

        def answers(*sizes: int) -> None:
            def answer(question: Question) -> None:
                for size in sizes:
                    question.add("x" * size)
                question.end(is_answered=True)

            b.answer = answer

        answers(1000)
        with pytest.raises(NoAnswer):  # a part
            await a.nodes.ask(b.id, "large", 20.0)
        answers(900, 900, 900)
        with pytest.raises(NoAnswer):  # all parts
            await a.nodes.ask(b.id, "large", 20.0)
        answers(900, 900)
        assert len(await a.nodes.ask(b.id, "fits", 20.0)) == 2
        b.answer = b.questions.append
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(a.nodes.ask, b.id, "waits", 20.0)
            await b.wait_question(2)
            with pytest.raises(NoAnswer):  # those that are answered
                await a.nodes.ask(b.id, "more", 20.0)
            nursery.start_soon(_gives_up, a, b.id)
            await trio.lowlevel.checkpoint()
            with pytest.raises(NoAnswer):  # those that are asked
                await a.nodes.ask(b.id, "more", 20.0)
            nursery.cancel_scope.cancel()


async def _gives_up(a: Any, node: str) -> None:
    with pytest.raises(NoAnswer):
        await a.nodes.ask(node, "more", 20.0)


async def test_messages_of_other_programs_change_nothing(engine: EngineProcess) -> None:
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        b.answer = echo
        encode = msgspec.msgpack.encode
        for text in ("", "moved 1 x", "\x93", '["ask"]'):
            assert engine.ask("PUBLISH", f"as:q:{b.id}", text) == 1
        for odd in (["ask", 1], ["part", 5, None], ["end", "x", 1], {}, ["nonsense", 1]):
            assert await a.nodes._command("PUBLISH", f"as:q:{b.id}", encode(odd)) == 1
        assert await a.nodes.ask(b.id, "echo", 20.0, of=1) == [1, {"and": None}]
        assert b.nodes.is_up.value


# -- blobs


async def test_a_blob_that_is_offered_is_fetched_once(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(256)) * 1000
    sha, empty = sha256(data).hexdigest(), sha256(b"").hexdigest()
    async with peer(engine.url, "a:1") as a, peer(engine.url, "b:2") as b:
        with pytest.raises(KeyError):
            await b.nodes.offered(sha)
        await a.nodes.offer({sha: data, empty: b""})
        assert engine.ask("PTTL", f"as:o:{sha}:3") > 0
        assert engine.ask("STRLEN", f"as:o:{sha}:0") == 64 * 1024
        assert await b.nodes.offered(empty) == b""
        fetched: list[bytes] = []

        async def fetch() -> None:
            fetched.append(await b.nodes.offered(sha))

        calls = engine.ask("INFO", "commandstats").split("cmdstat_get:calls=")[1]
        before = int(calls.split(",")[0])
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(fetch)
        assert fetched == [data] * 5
        calls = engine.ask("INFO", "commandstats").split("cmdstat_get:calls=")[1]
        assert int(calls.split(",")[0]) - before == 1 + 4
        engine.ask("DEL", f"as:o:{sha}")
        monkeypatch.setattr(engine_offers, "KEPT_MAX_BYTES", 10)
        assert await b.nodes.offered(empty) == b""
        with pytest.raises(KeyError):
            await b.nodes.offered(sha)


async def test_a_blob_that_is_another_than_its_name_is_refused(engine: EngineProcess) -> None:
    sha = sha256(b"right").hexdigest()
    async with peer(engine.url, "a:1") as a:
        engine.ask("SET", f"as:o:{sha}", 5)
        engine.ask("SET", f"as:o:{sha}:0", "wrong")
        with pytest.raises(KeyError):
            await a.nodes.offered(sha)
