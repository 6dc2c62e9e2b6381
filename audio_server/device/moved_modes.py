"""The modes of channels when the clips change: channels are behind the clips, so that a clip more
or less gives them other numbers. A device that is in the mode of a channel, or plays it, keeps the
channel and not the number. The mode of a clip is its number (`behaviour`).
"""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import State


def with_moved_modes(
    state: State, before: Sequence[AudioSource], after: Sequence[AudioSource]
) -> State:
    """Return the state with the new numbers of sources without a length, which are the same ones
    in both; the same object where none has moved."""
    by = len(after) - len(before)

    def moved(mode: int) -> int:
        is_there = 0 <= mode < len(before) and 0 <= mode + by < len(after)
        is_channel = is_there and before[mode].packets is None
        return mode + by if is_channel and after[mode + by] is before[mode] else mode

    playing = None if state.playing is None else moved(state.playing)
    queue = tuple(moved(mode) for mode in state.queue)
    new = state._replace(mode=moved(state.mode), playing=playing, queue=queue)
    return state if new == state else new
