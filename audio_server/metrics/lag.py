"""The lateness of the event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import trio

EVERY_S = 0.2


async def watch_lag(tell: Callable[[float], None]) -> NoReturn:
    """Be due every so often, and tell in seconds how late one was; until cancelled."""
    due = trio.current_time()
    while True:
        due += EVERY_S
        await trio.sleep_until(due)
        now = trio.current_time()
        tell(now - due)
        # A pause of a second is told once, and not five times more as if it had been five.
        due = max(due, now - EVERY_S)
