"""Orders to judge devices: the process that has the device, and the breaches that it has seen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from audio_server.device.events import DeviceEvent
from audio_server.fleet.agents import Actor
from audio_server.fleet.interface import Event

ORDERS_MAX = 256


class Begun:
    """The agents that have begun with orders: a device may come back to another one meanwhile."""

    def __init__(self) -> None:
        self._agents: OrderedDict[str, Actor] = OrderedDict()

    def at(self, number: str, agents: Sequence[Actor] = ()) -> Actor | None:
        """Return the agent that has an order, which is the first of `agents` if it is new."""
        if number not in self._agents and agents:
            self._agents[number] = agents[0]
            if len(self._agents) > ORDERS_MAX:
                self._agents.popitem(last=False)
        return self._agents.get(number)


def breaches_in(events: Sequence[Event]) -> list[str]:
    """Return the breaches of a device since it connected, and the end of the connection before
    that, as texts; `events` are its latest ones."""
    found: list[str] = []
    is_before = False
    for event in reversed(events):
        match event["kind"]:
            case DeviceEvent.GONE if is_before:
                found.append(event["text"])
                break
            case DeviceEvent.CONNECTED if is_before:
                break
            case DeviceEvent.CONNECTED:
                is_before = True
            case DeviceEvent.REFUSED if not is_before:
                found.append(event["text"])
    return list(reversed(found))
