"""Whether the loop of another process stands still.

The other process raises a count in shared memory each time its loop has run. The watch counts its
own looks and no time: while the whole machine is suspended, or so slow that the watch itself is
late, it looks less often, and so waits longer.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

LOOK_S = 0.5

START_S = 120.0
"""For the first sign of life: a process that starts reads files and imports modules."""


async def wait_hung(count: Callable[[], float], patience_s: float) -> None:
    """Return when `count` has stayed the same for `patience_s`.

    A count that has never been raised has `START_S`, if that is more.
    """
    seen, silent_s, allowed_s = count(), 0.0, max(patience_s, START_S)
    while silent_s < allowed_s:
        await trio.sleep(LOOK_S)
        if (now := count()) == seen:
            silent_s += LOOK_S
        else:
            seen, silent_s, allowed_s = now, 0.0, patience_s
