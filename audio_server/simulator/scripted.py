"""Devices that follow a script, each judged by an oracle of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import trio

from audio_server.process.output import say_error
from audio_server.simulator.connect import connecting
from audio_server.simulator.describe import describe
from audio_server.simulator.device import OpenChannel, VirtualDevice
from audio_server.simulator.events import Event
from audio_server.simulator.judge import Judge
from audio_server.simulator.options import Options
from audio_server.simulator.outputs import open_outputs
from audio_server.simulator.report import Report
from audio_server.simulator.script import Step
from audio_server.simulator.script_runner import ScriptRunner
from audio_server.simulator.verdict import Limits, Note, Violation
from audio_server.simulator.widgets import Widgets

TICK_S = 0.05


class Judged:
    """A device with everything that watches it. `run` is one performance."""

    def __init__(self, options: Options, number: int, open_channel: OpenChannel) -> None:
        device_id = options.device_id if options.devices == 1 else f"{options.device_id}-{number}"
        self.device = VirtualDevice(
            device_id,
            open_channel,
            reconnects=False,
            whole_takes=options.whole_takes,
            token=options.token,
        )
        self.oracle = Judge(
            options.limits, told=options.told, modes=options.modes, others=not options.alone
        )
        self.report = Report(device_id, trio.current_time())
        self._options = options
        self._began_s = trio.current_time()
        self._performer = ScriptRunner(
            self.device,
            options.address,
            seed=options.seed + number,
            take_picture=self._take_picture,
        )
        self._face: Widgets | None = None
        self.device.observers += [self.oracle.feed, self.report, self._performer]

    @property
    def violations(self) -> Sequence[Violation]:
        """The violations so far."""
        return self.oracle.violations

    @property
    def notes(self) -> Sequence[Note]:
        """What the contract allows and a reader of the verdict should know."""
        return self.oracle.notes

    async def run(self, steps: Sequence[Step]) -> None:
        """Follow the script, wait for events that are due, switch off. Raises `CannotConnect`."""
        if any(step.name == "picture" for step in steps):
            self._face = Widgets(self.device, self._options.address, self.oracle)
            self.device.observers.append(self._face)
        async with open_outputs(self.device, self._options, _say), trio.open_nursery() as nursery:
            await nursery.start(self.device.run)
            nursery.start_soon(tick, self.oracle)
            await self._performer.perform(steps)
            await trio.sleep(_due_s(self._options.limits))
            self.oracle.tick(trio.current_time())
            self.device.switch_off()
            await self.device.wait_off()
            nursery.cancel_scope.cancel()

    def _take_picture(self, file: str) -> None:
        from audio_server.simulator.screen import picture

        if self._face is not None:
            svg = picture(self._face, trio.current_time(), self._began_s)
            Path(file).write_text(svg, encoding="utf-8")


def _say(line: str) -> None:
    """A script's output is its verdict; where sound goes was its own wish."""


def _due_s(limits: Limits) -> float:
    """How long after the last step something can still be due."""
    return limits.lead_s + limits.soon_s + limits.tolerance_s


async def tick(oracle: Judge) -> None:
    """Have an oracle notice missing events, until cancelled."""
    while True:
        await trio.sleep(TICK_S)
        oracle.tick(trio.current_time())


async def perform(
    options: Options, steps: Sequence[Step], *, open_channel: OpenChannel
) -> list[Judged]:
    """Run a script on `options.devices` devices at once; return the outcome of each.

    Raises `CannotConnect` in a group, and `OSError` or `CannotRecord` for a file.
    """
    fleet = [Judged(options, number, open_channel) for number in range(1, options.devices + 1)]
    if options.trace:
        for judged in fleet:
            judged.device.observers.insert(0, _tracer(judged.device.device_id))
    async with trio.open_nursery() as nursery:
        for judged in fleet:
            nursery.start_soon(judged.run, steps)
    return fleet


def _tracer(device_id: str) -> Callable[[float, Event], None]:
    """An observer that prints events to standard error."""
    began_s = trio.current_time()

    def trace(at_s: float, event: Event) -> None:
        if text := describe(event):
            say_error(f"{at_s - began_s:9.4f}  {device_id}  {text}")

    return trace


def run_script(options: Options, steps: Sequence[Step]) -> list[Judged]:
    """`perform` as a program of its own, over TCP."""
    return trio.run(partial(perform, options, steps, open_channel=connecting(options)))
