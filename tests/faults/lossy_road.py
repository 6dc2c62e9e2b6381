"""Two networks of this process, joined by a road that loses IP packets: TCP as it is out there.

Each network is a namespace with a TUN device; what one sends is read here and, but for what is
lost, written into the other after a while. Needs Linux and the right to make namespaces (root, or
users who may), which `RoadUnavailable` says; everything ends with the process.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import trio

HERE, THERE = "10.99.0.1", "10.99.0.2"
_NEWNET, _NEWUSER = 0x40000000, 0x10000000
_TUNSETIFF, _TUN_NO_INFO = 0x400454CA, 0x1001
_PACKET_BYTES = 2048

T = TypeVar("T")


class RoadUnavailable(Exception):
    """This machine does not let us make networks; the text says what failed."""


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def _become_root() -> None:
    """In a user namespace of our own, where we are not root already."""
    if user := os.geteuid():
        _unshare(_NEWUSER)
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")


def _open_network(name: str, own: str, other: str) -> tuple[int, int]:
    """A new network with one device: file descriptors of the network and of the device."""
    _unshare(_NEWNET)
    network = os.open("/proc/self/ns/net", os.O_RDONLY)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_NO_INFO))
    for command in (f"addr add {own} peer {other} dev {name}", f"link set {name} up"):
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)
    return network, device


class LossyRoad:
    """The two networks. `run` forwards between them; `in_network` makes sockets there.

    Raises `RoadUnavailable`. Leaves the process in the second network: use a process of its own.
    """

    def __init__(self, loss: float, latency_s: float, seed: int = 0) -> None:
        self.packets: Counter[str] = Counter()
        self._loss = loss
        self._latency_s = latency_s
        self._random = Random(seed)
        try:
            _become_root()
            ends = [_open_network("here", HERE, THERE), _open_network("there", THERE, HERE)]
        except (OSError, subprocess.CalledProcessError) as error:
            raise RoadUnavailable(str(error)) from error
        self._networks, self._devices = zip(*ends, strict=True)

    def enter(self, network: int) -> None:
        """Sockets that are made from now on are in network 0 or 1."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(self._networks[network], _NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def make(self, network: int, socket: Callable[[], T]) -> T:
        """Make a socket in a network."""
        self.enter(network)
        return socket()

    async def run(self) -> None:
        """Forward both ways, until cancelled."""
        here, there = self._devices
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._forward, here, there)
            nursery.start_soon(self._forward, there, here)

    async def _forward(self, source: int, sink: int) -> None:
        on_the_way, arriving = trio.open_memory_channel[tuple[float, bytes]](1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, arriving, sink)
            while True:
                await trio.lowlevel.wait_readable(source)
                packet = os.read(source, _PACKET_BYTES)
                if self._random.random() < self._loss:
                    self.packets["lost"] += 1
                    continue
                self.packets["forwarded"] += 1
                await on_the_way.send((trio.current_time() + self._latency_s, packet))

    async def _deliver(
        self, arriving: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: int
    ) -> None:
        async for due, packet in arriving:
            await trio.sleep_until(due)
            os.write(sink, packet)
