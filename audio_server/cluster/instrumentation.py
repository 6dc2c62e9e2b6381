"""Counts that a node of a cluster reports."""

from __future__ import annotations

from typing import Literal, TypeAlias

LivePackets: TypeAlias = Literal["sent", "dropped", "received", "missed"]
"""Packets of live channels between nodes: `sent`, counted for each node that they went to, and
`dropped`, since the engine did not take them; `received`, and `missed` by a node that listens."""


class Instrumentation:
    """Counts nothing: subclass it. Every method is called where it happens, and must not block."""

    def cluster_is(self, *, up: bool) -> None:
        """The state that nodes share can be reached, or cannot."""

    def cluster_nodes(self, count: int) -> None:
        """So many nodes share the cluster, with this one; 0 while it cannot be reached."""

    def acknowledged_from_memory(self) -> None:
        """A press was acknowledged while its mode is only in memory."""

    def provisional_devices(self, count: int) -> None:
        """So many devices are connected that no cluster has granted yet."""

    def live_packets(self, what: LivePackets, count: int) -> None:
        """So many packets of live channels went, or did not go, from node to node."""
