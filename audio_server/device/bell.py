"""A wait of one task for the next change: each device has two, for as long as it is connected."""

from __future__ import annotations

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task


class Bell:
    """Wakes the task that waits; a ring that finds none is forgotten.

    So the task looks whether it has work, and waits with no checkpoint in between. A `trio.Event`,
    which several tasks may wait for and which stays set, is 300 bytes more.
    """

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: Task | None = None

    def ring(self) -> None:
        """Wake the task, if it waits."""
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Return at the next ring. Only one task may wait."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: RaiseCancelT) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
