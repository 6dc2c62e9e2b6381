"""A device is judged in the process that has it, whichever is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
import trio
from fleet_kit import standing
from node_stand import open_nodes
from stub_server import StubServer
from trio.testing import MockClock
from worker_stand import spread

from audio_server.device.behaviour import Button
from audio_server.fleet.agent_answers import AgentAnswers
from audio_server.fleet.judging import ORDERS_MAX, Begun, breaches_in
from audio_server.judge import bench
from audio_server.judge.order import Order, Progress
from audio_server.service.device_service import DeviceService
from audio_server.simulator import wrong
from audio_server.simulator.device import VirtualDevice

SOUND = [b"\xf8" + bytes(600)] * 50


@pytest.fixture(autouse=True)
def short_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sound() -> Sequence[bytes]:
        return SOUND

    monkeypatch.setattr(bench, "_hiss", sound)


async def comes(devices: Any, nursery: trio.Nursery, **options: Any) -> VirtualDevice:
    """A device that has been connected to `devices` for a while."""
    server = StubServer(DeviceService(devices), nursery)
    device = VirtualDevice("den", server.open, **options)
    nursery.start_soon(device.run)
    device.switch_on()
    await trio.sleep(3.0)
    return device


async def judged(fleet: Any) -> Progress:
    order = Order("1", press_s=0.0)
    progress: Progress = await fleet.judge("den", order)
    while progress.result == "done" and progress.outcome is None:
        await trio.sleep(0.5)
        progress = await fleet.judge("den", order._replace(again=True))
    return progress


def verdicts(progress: Progress) -> dict[str, str]:
    assert progress.outcome is not None, progress
    return {one["duty"]: one["verdict"] for one in progress.outcome["duties"]}


@pytest.mark.parametrize(
    "order",
    [[], ["1", "soon"], [["1"]], ["1", 1.0, 1.0, False, False, False, "of a later version"], "1"],
)
async def test_an_order_that_is_not_understood_is_refused(order: Any) -> None:
    answers = AgentAnswers(Never(), Never())  # type: ignore[arg-type]
    with pytest.raises(msgspec.ValidationError):  # which `Answering` refuses, without a log
        await anext(answers.by_name["judge"](device_id="den", order=order))


class Never:
    """In the place of an agent that is not to be reached."""

    async def judge(self, device_id: str, order: Any) -> Progress:
        raise AssertionError(f"asked to judge by {order}")


async def test_at_a_worker(autojump_clock: MockClock) -> None:
    async with spread() as at, trio.open_nursery() as nursery:
        await comes(at.workers[2].devices, nursery)
        at.hub.claim(at.nodes[2], "den", time.monotonic_ns())
        found = verdicts(await judged(at.fleet))
        assert "broken" not in found.values()
        assert (found["sound"], found["return"], found["lock_step"]) == ("kept", "kept", "not seen")
        assert (await at.fleet.judge("nobody", Order("2"))).result == "gone"
        nursery.cancel_scope.cancel()


async def test_at_another_node(autojump_clock: MockClock) -> None:
    async with open_nodes("a", "b") as nodes, trio.open_nursery() as nursery:
        await comes(nodes["b"].devices, nursery, session=wrong.SaysOk)
        progress = await judged(nodes["a"].fleet)
        assert verdicts(progress)["set"] == "broken"
        assert progress.outcome is not None
        (seen,) = [one["seen"] for one in progress.outcome["duties"] if one["duty"] == "set"]
        # That the node had seen it before is known there alone.
        assert seen[0] == 'before the trial: refused LEDs: "ok" (expected "success")'
        nursery.cancel_scope.cancel()


async def test_a_node_without_an_answer_is_named(autojump_clock: MockClock) -> None:
    async with open_nodes("a", "b") as nodes, trio.open_nursery() as nursery:
        await comes(nodes["b"].devices, nursery)
        nodes.hung.add("b")
        refused = await nodes["a"].fleet.judge("den", Order("1"))
        assert refused == Progress("failed", "its node b:50051 gave no answer")
        nursery.cancel_scope.cancel()


async def test_a_worker_without_an_answer_is_told(autojump_clock: MockClock) -> None:
    async with spread() as at, trio.open_nursery() as nursery:
        nursery.start_soon(at.fleet.run)
        await comes(at.workers[2].devices, nursery)
        at.hub.claim(at.nodes[2], "den", time.monotonic_ns())
        at.workers[2].go_on = trio.Event()
        refused = await at.fleet.judge("den", Order("1"))
        assert refused == Progress("failed", "its worker gave no answer")
        nursery.cancel_scope.cancel()


async def test_an_operator_leaves_a_device_to_its_judge(autojump_clock: MockClock) -> None:
    async with standing() as at, trio.open_nursery() as nursery:
        await comes(at.devices, nursery)
        assert (await at.fleet.judge("den", Order("1"))).result == "done"
        await trio.sleep(0.5)
        refused = ("failed", "it is being judged")
        assert await at.fleet.press("den", Button.MODE) == refused
        assert await at.fleet.play(None, 0) == {"den": refused}
        assert "an operator had it judged" in [one["text"] for one in await at.fleet.events("den")]
        await at.fleet.judge("den", Order("1", again=True, ends=True))
        await trio.sleep(0.5)
        assert await at.fleet.press("den", Button.MODE) == ("done", None)
        nursery.cancel_scope.cancel()


def event(kind: str, text: str = "") -> dict[str, Any]:
    return {"kind": kind, "text": text}


def test_breaches_of_the_present_connection_count() -> None:
    old, new = event("refused", "old"), event("refused", "new")
    went, came = event("gone", "too_many_pings"), event("connected")
    assert breaches_in([came, old, went, came, new, event("leds")]) == ["too_many_pings", "new"]
    assert breaches_in([new]) == ["new"]
    assert breaches_in([old, came, came, new]) == ["new"]


def test_the_agents_of_few_orders_are_remembered() -> None:
    begun, one, other = Begun(), object(), object()
    assert begun.at("1") is None
    agents: Any = [one, other]
    assert begun.at("1", agents) is begun.at("1", agents[::-1]) is one
    for number in range(ORDERS_MAX):
        begun.at(f"more {number}", agents)
    assert begun.at("1") is None
