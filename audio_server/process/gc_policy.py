"""What the garbage collector may cost: no pause that is heard.

A full collection looks at every object there is, hundreds of a device's; with a few thousand
devices it stops the loop for half a second, and the default thresholds run one whenever the heap
has grown by a quarter, which is to say while devices connect. So only the youngest generation is
collected here. That is enough because ended connections, of devices and of pages, leave no cycles
(each `Connection` is rid of them): they are freed at once, by their reference counts.

Young is what was made since the last collection, and that comes by itself only when there are so
many objects more than there were. Where old ones give way to new ones as fast, tens of thousands
are young when it comes at last, in the midst of a storm of presses. So they are collected twice a
second too, a few milliseconds at most.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

EVERY_S = 0.5
_YOUNG_OBJECTS = 2_000
_NEVER = 1_000_000_000


def spare_old_objects() -> None:
    """From now on collect young objects only, in the whole process."""
    gc.set_threshold(_YOUNG_OBJECTS, _NEVER, _NEVER)


@asynccontextmanager
async def young_objects_collected() -> AsyncIterator[None]:
    """A block in which young objects do not become too many."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_collect_young)
        yield
        nursery.cancel_scope.cancel()


async def _collect_young() -> NoReturn:
    while True:
        await trio.sleep(EVERY_S)
        gc.collect(0)
