"""Any history of one device's calls on any connections, against a model in the contract's words.

Calls are attached and ended without a task of their own, so each history is the same each time;
nothing but `settle` lets the device's tasks run. No time passes: clips never end by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from fake_sink import FakeSink, is_grammatical, make_clip
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit import running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.attachment import Attachment, EventAttachment, StatusAttachment, Superseded
from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.registry import Devices
from audio_server.device.telemetry import Telemetry

KINDS = ("status", "events", "audio")
MODES = 5
CLIPS = [make_clip(50_000, f"clip{mode}") for mode in range(MODES)]


@dataclass(eq=False)
class Call:
    """A call of the device; `scope` is what the server cancels when it ends the call."""

    kind: str
    connection: int
    attachment: Attachment
    scope: trio.CancelScope
    sink: FakeSink | None = None
    packets_at_end: int = 0


@dataclass
class Model:
    """What the contract says of the device, and nothing else."""

    calls: dict[str, Call] = field(default_factory=dict)
    ended: list[Call] = field(default_factory=list)
    queue: list[tuple[Call, Button]] = field(default_factory=list)
    mode: int = 0
    plays: bool = False
    asked_on: int = 0

    def opens(self, call: Call) -> None:
        """A call ends the older one of its kind, with all else that the device left there."""
        older = self.calls.get(call.kind)
        if older is not None:
            waits = self.plays and "audio" not in self.calls
            is_moved = older.connection != call.connection
            ended = [
                other
                for other in self.calls.values()
                if other is older or (is_moved and other.connection == older.connection)
            ]
            for other in ended:
                del self.calls[other.kind]
            self.ended += ended
            is_void = waits and is_moved and self.asked_on == older.connection
            is_back = is_moved and not self.calls
            if is_void or is_back or any(other.kind == "audio" for other in ended):
                self.plays = False
            self.queue = [
                (source, button)
                for source, button in self.queue
                if source not in ended and not (is_moved and source.connection == older.connection)
            ]
        self.calls[call.kind] = call

    def closes(self, call: Call) -> None:
        """A call that drops leaves the others alone; with the last one the device is gone."""
        del self.calls[call.kind]
        if call.kind == "audio" or not self.calls:
            self.plays = False
        if not self.calls:
            self.queue = []

    def is_pressed(self, call: Call, button: Button) -> None:
        """The table of the contract."""
        if button is Button.MODE:
            self.mode = (self.mode + 1) % MODES
        elif button is Button.STOP:
            self.mode, self.plays = 0, False
        elif button is Button.PLAY:
            self.plays, self.asked_on = True, call.connection

    def settles(self) -> None:
        """What waited is applied."""
        for call, button in self.queue:
            self.is_pressed(call, button)
        self.queue = []


@dataclass
class World:
    """One device, its calls on up to four connections, and the model beside it."""

    devices: Devices
    model: Model = field(default_factory=Model)

    def open(self, kind: str, connection: int) -> None:
        scope, sink = trio.CancelScope(), None
        attachment: Attachment
        if kind == "status":
            attachment = self.devices.attach_status("x", connection, scope)
        elif kind == "events":
            attachment = self.devices.attach_events("x", connection, scope)
        else:
            sink = FakeSink()
            attachment = self.devices.attach_audio("x", connection, sink, scope)
        attachment.__enter__()
        before = list(self.model.ended)
        self.model.opens(Call(kind, connection, attachment, scope, sink))
        for call in self.model.ended:
            if call not in before and call.sink is not None:
                call.packets_at_end = len(call.sink.packets)

    def connect(self, connection: int, order: list[str]) -> None:
        """As a stock device does it."""
        for kind in order:
            self.open(kind, connection)

    def close(self, kind: str) -> None:
        if (call := self.model.calls.get(kind)) is not None:
            call.attachment.__exit__(None, None, None)
            self.model.closes(call)

    def lose(self, connection: int) -> None:
        """The connection drops, with all calls that are still open on it."""
        for call in list(self.model.calls.values()):
            if call.connection == connection:
                self.close(call.kind)

    def press(self, button: Button, at_once: bool) -> None:
        call = self.model.calls.get("events")
        if call is None:
            return
        assert isinstance(call.attachment, EventAttachment)
        if not at_once:
            call.attachment.queue(button, Action.PRESS)
            self.model.queue.append((call, button))
        elif call.attachment.press_nowait(button, Action.PRESS):
            self.model.is_pressed(call, button)
        else:
            assert self.model.queue

    def late(self, number: int, button: Button, at_once: bool) -> None:
        """A call that was ended goes on talking: presses, and answers of its LEDs."""
        if not self.model.ended:
            return
        attachment = self.model.ended[number % len(self.model.ended)].attachment
        if isinstance(attachment, StatusAttachment):
            attachment.report(Telemetry(last_error="late"))
        elif isinstance(attachment, EventAttachment) and at_once:
            assert not attachment.press_nowait(button, Action.PRESS)
        elif isinstance(attachment, EventAttachment):
            attachment.queue(button, Action.PRESS)

    async def settle(self) -> None:
        self.model.settles()
        await wait_all_tasks_blocked()

    # -- what must hold

    def check(self) -> None:
        model, device = self.model, self.devices.by_id.get("x")
        for call in model.ended:
            assert call.scope.cancel_called
            assert call.attachment._ended is not None
            assert call.attachment._ended[0] is Superseded
        for call in model.calls.values():
            assert not call.scope.cancel_called
        assert (device is not None) == bool(model.calls)
        if device is not None:
            assert {kind.value for kind in device.attachments} == set(model.calls)
            assert (device.state.mode, device.state.playing is not None) == (
                model.mode,
                model.plays,
            )
            assert device.report.last_error != "late"
        self._check_sound()

    def _check_sound(self) -> None:
        heard = self.model.calls.get("audio")
        for call in self.model.ended:
            if call.sink is not None:
                assert is_grammatical(call.sink.flags), call.sink.flags
                assert len(call.sink.packets) == call.packets_at_end
        if heard is not None and heard.sink is not None:
            flags = heard.sink.flags
            assert is_grammatical(flags + "E" * self.model.plays) or not flags, flags


connections = st.integers(1, 4)
buttons = st.sampled_from([Button.MODE, Button.STOP, Button.PLAY])
steps = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(KINDS), connections),
    st.tuples(st.just("open"), st.sampled_from(KINDS), connections),
    st.tuples(st.just("connect"), connections, st.permutations(KINDS)),
    st.tuples(st.just("close"), st.sampled_from(KINDS)),
    st.tuples(st.just("lose"), connections),
    st.tuples(st.just("press"), buttons, st.booleans()),
    st.tuples(st.just("press"), buttons, st.booleans()),
    st.tuples(st.just("late"), st.integers(0, 20), buttons, st.booleans()),
    st.just(("settle",)),
)
histories = st.lists(steps, min_size=4, max_size=40)


async def live(history: list[tuple[Any, ...]]) -> None:
    devices = Devices(CLIPS, Rules(MODES), 0.3)
    async with running(devices):
        world = World(devices)
        for step, *arguments in history:
            do: Callable[..., Any] = getattr(world, step)
            result = do(*arguments)
            if result is not None:
                await result
            world.check()
        await world.settle()
        world.check()
        for kind in KINDS:
            world.close(kind)
        world.check()


STOCK = list(KINDS)
PENDING = [("open", "status", 1), ("open", "events", 1), ("press", Button.PLAY, True)]
"""A Play that waits for an audio call."""


@given(histories)
@example([("connect", 1, STOCK), ("press", Button.PLAY, True), ("connect", 2, STOCK)])
@example([("open", "status", 1), ("open", "events", 2), ("open", "audio", 3), ("settle",)])
@example([("connect", 2, STOCK), ("connect", 1, STOCK), ("press", Button.MODE, True)])
@example([*PENDING, ("close", "events"), ("open", "status", 2)])
@example([*PENDING, ("close", "events"), ("open", "events", 3), ("open", "status", 2)])
@settings(max_examples=400, deadline=None)
def test_any_history_of_calls_is_as_the_contract_says(history: list[tuple[Any, ...]]) -> None:
    trio.run(live, history, clock=MockClock(autojump_threshold=0))
