"""The last resort against orphans: a worker ends even if its loop has hung."""

from __future__ import annotations

import os
import select
import threading
import time

ABORT_S = 2.0
"""Time after the grace time at which the remaining workers end in any case."""


def follow_supervisor(news_fd: int, *, within_s: float) -> None:
    """End this process in any case, so long after the other end of a pipe has been closed.

    Reads nothing: the bytes in the pipe are for its other readers.
    """
    follow = threading.Thread(target=_follow, args=(news_fd, within_s), daemon=True)
    follow.start()


def _follow(news_fd: int, within_s: float) -> None:
    hangup = select.poll()
    hangup.register(news_fd, 0)
    hangup.poll()
    time.sleep(within_s)
    os._exit(1)
