"""An agent in another process, which acts on its devices when it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import trio

from audio_server.cluster.interface import NoAnswer
from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button
from audio_server.fleet.agents import DeviceIds
from audio_server.fleet.announcements import Order, Report, Reports
from audio_server.fleet.interface import Event, Outcome, Outcomes, OutcomesOfNodes
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

ASK_S = 2.0


class AskedAgent(ABC):
    """The part of an `Actor` that is the same wherever it is asked: `AgentAnswers` answers."""

    act_s = 10.0
    """How long an agent may take to do something to all its devices."""

    press_s = 3.0

    @abstractmethod
    async def ask(self, what: str, within_s: float = ASK_S, **facts: Any) -> list[Any]:
        """Return the parts of its answer. Raises `NoAnswer`."""

    @abstractmethod
    def silence(self, error: NoAnswer) -> tuple[Outcome, Sequence[str]]:
        """Return the outcome of an action without an answer, and the names that are missing."""

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        return [event for part in await self.ask("events", device_id=device_id) for event in part]

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes:
        """Press a button of several devices."""
        return await self._act("press_each", self.press_s, device_ids, button=button.name)

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await self._act("play", self.act_s, device_ids, clip=clip)

    async def stop(self, device_ids: DeviceIds) -> Outcomes:
        """Stop playback."""
        return await self._act("stop", self.act_s, device_ids)

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement, of which the agent fetches the sound."""
        sound = order.sound
        facts = {"number": order.id, "name": sound.name, "sha": order.sha}
        numbers = {"sound_bytes": sound.sound_bytes, "priority": order.priority}
        return await self._act("announce", self.act_s, device_ids, **facts, **numbers)

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is."""
        try:
            (told,) = await self.ask("judge", self.press_s, device_id=device_id, order=order)
        except NoAnswer as error:
            return Progress(*self.silence(error)[0])
        return Progress(*told)

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement."""
        parts = await self.ask("reports", number=announcement_id)
        told = {device_id: report for part in parts for device_id, report in part.items()}
        return {key: Report(Hearing(hearing), reason) for key, (hearing, reason) in told.items()}

    async def _act(
        self, what: str, within_s: float, device_ids: DeviceIds, **facts: Any
    ) -> Outcomes:
        """Run an action. With no answer it may have been done or not."""
        outcomes = OutcomesOfNodes()
        try:
            parts = await self.ask(what, within_s, device_ids=device_ids, **facts)
        except NoAnswer as error:
            outcome, outcomes.missing = self.silence(error)
            outcomes.update(dict.fromkeys(device_ids or (), outcome))
        else:
            for part in parts:
                outcomes.update({key: Outcome(*one) for key, one in part.items()})
        return outcomes


async def with_sha(order: Order) -> Order:
    """Return an order whose sound agents may fetch."""
    sha = await trio.to_thread.run_sync(sha256, order.sound.frames)
    return order._replace(sha=sha.hexdigest())
