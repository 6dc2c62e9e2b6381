"""What a request asks of a device."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from audio_server.device.rules import Action, Button


@dataclass(frozen=True, slots=True, eq=False)
class Press:
    """Something done to a button, on its way from a request; `applied` tells it the end."""

    button: Button
    action: Action
    connection: int
    applied: trio.Event
