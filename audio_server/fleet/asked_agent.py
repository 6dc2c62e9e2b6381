"""An agent in another process, which acts on its devices when it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button
from audio_server.fleet.agents import DeviceIds
from audio_server.fleet.announcements import Order, Report, Reports
from audio_server.fleet.interface import Event, Outcome, Outcomes
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

ASK_S = 2.0

ACT_S = 10.0
"""How long an agent may take to do something to all its devices."""

PRESS_S = 3.0


class AskedAgent:
    """The part of an `Agent` that is the same wherever it is asked: `AgentAnswers` answers."""

    async def ask(self, what: str, within_s: float = ASK_S, **facts: Any) -> list[Any]:
        """Return the parts of its answer. Raises `NoAnswer`."""
        raise NotImplementedError

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        return [event for part in await self.ask("events", device_id=device_id) for event in part]

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes:
        """Press a button of several devices."""
        return await self._act("press_each", device_ids, PRESS_S, button=button.name)

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await self._act("play", device_ids, clip=clip)

    async def stop(self, device_ids: DeviceIds) -> Outcomes:
        """Stop playback."""
        return await self._act("stop", device_ids)

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement, of which the agent fetches the sound."""
        sound = order.sound
        facts = {"number": order.id, "name": sound.name, "sha": order.sha}
        numbers = {"sound_bytes": sound.sound_bytes, "priority": order.priority}
        return await self._act("announce", device_ids, ACT_S, **facts, **numbers)

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is."""
        (told,) = await self.ask("judge", PRESS_S, device_id=device_id, order=order)
        return Progress(*told)

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement."""
        parts = await self.ask("reports", number=announcement_id)
        told = {device_id: report for part in parts for device_id, report in part.items()}
        return {key: Report(Hearing(hearing), reason) for key, (hearing, reason) in told.items()}

    async def _act(
        self, what: str, device_ids: DeviceIds, within_s: float = ACT_S, **facts: Any
    ) -> Outcomes:
        parts = await self.ask(what, within_s, device_ids=device_ids, **facts)
        return {key: Outcome(*outcome) for part in parts for key, outcome in part.items()}
