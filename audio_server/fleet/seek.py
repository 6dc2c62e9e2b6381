"""The place in a list of all nodes at which a window begins, found without any list of all.

Each node tells some keys, evenly spaced, and their places in its own list. Together they say of
each of these keys before which place of the whole list it certainly is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from audio_server.fleet.listing import Key, Wanted, ordered
from audio_server.fleet.recent_keys import Places

SAMPLES = 256
"""Keys that each node tells."""


class Anchor(NamedTuple):
    """A key before the window, or none for the beginning of the list; and how many keys after it
    are enough to reach the window."""

    after: Key | None
    most: int


def anchor_at(offset: int, nodes: Mapping[str, Places], wanted: Wanted) -> Anchor:
    """Return the last key that is certainly before the place `offset` of the whole list."""
    place_of: dict[str, tuple[str, int]] = {}
    samples: list[Key] = []
    for node, (_, keys, _) in nodes.items():
        for number, key in enumerate(keys):
            if key[1] not in place_of:
                place_of[key[1]] = node, number
                samples.append(key)
    # How many keys of each node are before the next sample at least, and at most.
    least = dict.fromkeys(nodes, 0)
    most = {node: (places or [found])[0] for node, (found, _, places) in nodes.items()}
    anchor = Anchor(None, offset)
    for key in ordered(samples, wanted._replace(after=None, limit=None)):
        node, number = place_of[key[1]]
        found, _, places = nodes[node]
        least[node] = places[number] + 1
        most[node] = places[number + 1] if number + 1 < len(places) else found
        if sum(most.values()) > offset:
            break
        anchor = Anchor(key, offset - sum(least.values()))
    return anchor
