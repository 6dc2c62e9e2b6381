"""What the garbage collector may cost: no pause that is heard.

A full collection looks at every object there is, hundreds of a device's; with a few thousand
devices it stops the loop for half a second, and the default thresholds run one whenever the heap
has grown by a quarter, which is to say while devices connect. So only the youngest generation is
collected here, a few milliseconds at most. That is enough because ended connections leave no
cycles (`Connection` breaks them): they are freed at once, by their reference counts.
"""

from __future__ import annotations

import gc

_YOUNG_OBJECTS = 5_000
_NEVER = 1_000_000_000


def spare_old_objects() -> None:
    """From now on collect young objects only, in the whole process."""
    gc.set_threshold(_YOUNG_OBJECTS, _NEVER, _NEVER)
