"""The sound of a live channel between nodes: from the one that has its sender to those with
listeners, over channels of the engine, which hands each message on to all that subscribe.

A node that begins to listen subscribes, and asks the sender's node to begin; that node stops when a
message has reached nobody. Nothing here waits: of packets that the engine does not take a few are
kept, and the oldest are dropped. Packets are numbered, so a node that listens counts those that it
has missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import msgspec

from audio_server.cluster.instrumentation import Instrumentation
from audio_server.cluster.interface import ClusterDown

IN_FLIGHT = 5
"""Messages that the engine may not have answered yet before packets wait for each other: so an
engine that answers within 100 ms delays none."""

WAITING_MAX = 15
"""Packets that wait for the engine: 0.3 s, as much as a device has in store."""

_encode = msgspec.msgpack.encode


class Join(msgspec.Struct, tag="join", array_like=True):
    """A node begins to listen."""

    key: str
    node: str


class Joined(msgspec.Struct, tag="joined", array_like=True):
    """The answer: the number of the next packet, and the packets before it."""

    key: str
    node: str
    number: int
    packets: list[bytes]


class Sound(msgspec.Struct, tag="sound", array_like=True):
    """Packets, and the number of the first."""

    key: str
    node: str
    number: int
    packets: list[bytes]


class Wire(Protocol):
    """The engine, as feeds use it. No method waits; without the engine nothing is done."""

    def publish(self, heard: Callable[[Any], None], channel: str, data: bytes) -> None:
        """Send a message, and call `heard` with the number of nodes that it went to, or with
        `ClusterDown`."""

    def subscribe(self, channel: str) -> None:
        """Hear the messages of a channel."""

    def unsubscribe(self, channel: str) -> None:
        """Hear them no longer."""


class FeedEnd(Protocol):
    """The end of a feed at this node. No method may wait."""

    def latest_packets(self) -> list[bytes] | None:
        """Return the packets that came last, for a node that joins; None where the sender is not
        here."""

    def joined(self, packets: Sequence[bytes], missed: int) -> None:
        """The node listens from now on; these packets came last. So many have not come since it
        listened before."""

    def fed(self, packets: Sequence[bytes], missed: int) -> None:
        """Packets have come, and so many before them have not."""


Address: TypeAlias = Callable[[str], str]


def sound_channel(key: str) -> str:
    """Return the channel of a feed."""
    return f"as:live:sound:{key}"


def node_channel(node: str) -> str:
    """Return the channel of a node."""
    return f"as:live:node:{node}"


class Outflow:
    """The packets of this node on their way to others."""

    def __init__(self, key: str, node: str, wire: Wire, meter: Instrumentation) -> None:
        self._key, self._node = key, node
        self._wire = wire
        self._meter = meter
        self._waiting: deque[bytes] = deque()
        self._next = 0
        self._in_flight = 0
        self._has_listeners = False

    def put(self, packet: bytes) -> None:
        """Send a packet, if a node listens."""
        self._next += 1
        if self._has_listeners:
            if len(self._waiting) == WAITING_MAX:
                self._waiting.popleft()
                self._meter.live_packets("dropped", 1)
            self._waiting.append(packet)
            self._send()

    def admit(self, node: str, packets: list[bytes]) -> None:
        """Give a node that joins the packets that came last, and others from then on."""
        self._has_listeners = True
        data = _encode(Joined(self._key, self._node, self._next, packets))
        self._wire.publish(lambda _: None, node_channel(node), data)

    def _send(self) -> None:
        if self._waiting and self._in_flight < IN_FLIGHT:
            packets = list(self._waiting)
            self._waiting.clear()
            self._in_flight += 1
            first = self._next - len(packets)
            data = _encode(Sound(self._key, self._node, first, packets))
            heard = partial(self._on_sent, len(packets))
            self._wire.publish(heard, sound_channel(self._key), data)

    def _on_sent(self, count: int, nodes: Any) -> None:
        self._in_flight -= 1
        if isinstance(nodes, ClusterDown):
            self._meter.live_packets("dropped", count)
        elif nodes:
            self._meter.live_packets("sent", count * int(nodes))
        else:
            self._has_listeners = False
            self._waiting.clear()
        self._send()


class NodeFeed:
    """A feed, with the `end` of it at this node."""

    def __init__(
        self, key: str, node: str, wire: Wire, end: FeedEnd, meter: Instrumentation
    ) -> None:
        self.key = key
        self._node = node
        self._wire = wire
        self._end = end
        self._meter = meter
        self._out = Outflow(key, node, wire, meter)
        self._sender: str | None = None
        self._last_sender: str | None = None
        self._next: int | None = None
        self._expected = 0
        self.is_followed = False

    def put(self, packet: bytes) -> None:
        """Send a packet of a sender that is at this node."""
        self._out.put(packet)

    def begin(self) -> None:
        """The engine can be reached again."""
        if self.is_followed:
            self._wire.subscribe(sound_channel(self.key))

    def sender_is(self, node: str | None) -> None:
        """The sender is at that other node now, or at none."""
        self._sender, self._next = node, None
        self.look()

    def follow(self) -> None:
        """Hear the packets of another node, as long as it has the sender."""
        if not self.is_followed:
            self.is_followed, self._last_sender = True, None
            self._wire.subscribe(sound_channel(self.key))
            self.look()

    def unfollow(self) -> None:
        """Hear none."""
        if self.is_followed:
            self.is_followed, self._next = False, None
            self._wire.unsubscribe(sound_channel(self.key))

    def look(self) -> None:
        """Ask for the packets, unless they come already."""
        if self.is_followed and self._sender is not None and self._next is None:
            data = _encode(Join(self.key, self._node))
            self._wire.publish(lambda _: None, node_channel(self._sender), data)

    def on_join(self, join: Join) -> None:
        """A node wants packets."""
        if (latest := self._end.latest_packets()) is not None:
            self._out.admit(join.node, latest)

    def on_joined(self, told: Joined) -> None:
        """The packets begin."""
        if not self.is_followed or told.node != self._sender or self._next is not None:
            return
        was_broken = told.node == self._last_sender
        missed = max(0, told.number - self._expected) if was_broken else 0
        self._last_sender = told.node
        self._next = self._expected = told.number
        self._meter.live_packets("missed", missed)
        self._end.joined(told.packets, missed)

    def on_sound(self, sound: Sound) -> None:
        """Packets have come."""
        if self._next is None or sound.node != self._sender:
            return
        known = max(0, self._next - sound.number)
        packets = sound.packets[known:]
        if packets:
            missed = max(0, sound.number - self._next)
            self._next = self._expected = sound.number + len(sound.packets)
            self._meter.live_packets("received", len(packets))
            self._meter.live_packets("missed", missed)
            self._end.fed(packets, missed)
