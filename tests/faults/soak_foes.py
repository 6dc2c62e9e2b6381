"""A tenth of a soak's devices: frozen, flapping or hostile. A process of its own.

    python soak_foes.py PORT SECONDS FROZEN FLAPPING HOSTILE

They come from 127.0.0.2, as from another host, send at most a few megabytes a second together,
and print at the end how often each of them was connected.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

import trio
from soak_attacks import ATTACKS

from benchmarks.frames import PRESSES, Button, opening

GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
_LONGEST_ATTACK_S = 20.0

Foe = Callable[[int, "Site"], Coroutine[Any, Any, None]]


class Site:
    """The server as a foe sees it. `visits` counts connections by what they were for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.visits: Counter[str] = Counter()

    async def connect(self, purpose: str, *, small: bool = False) -> trio.SocketStream:
        """One connection; `small`: with little room for what the server sends."""
        self.visits[purpose] += 1
        plug = trio.socket.socket()
        if small:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await plug.bind(("127.0.0.2", 0))
            await plug.connect(("127.0.0.1", self.port))
        except BaseException:
            plug.close()
            raise
        return trio.SocketStream(plug)


async def freeze(number: int, site: Site) -> None:
    """Ask for sound, again and again, and never read."""
    random = Random(number)
    async with await site.connect("frozen", small=True) as stream:
        await stream.send_all(opening(f"frozen-{number}", "soak"))
        for _ in range(random.randrange(40, 90)):
            await stream.send_all(PRESSES[Button.MODE] + PRESSES[Button.PLAY])
            await trio.sleep(0.5)


async def flap(number: int, site: Site) -> None:
    """Connect, play, be gone: with or without a farewell."""
    random = Random()
    async with await site.connect("flapping") as stream:
        await stream.send_all(opening(f"flapping-{number}", "soak"))
        await trio.sleep(random.uniform(0, 0.4))
        await stream.send_all(PRESSES[Button.MODE] + PRESSES[Button.PLAY])
        await trio.sleep(random.uniform(0, 0.4))
        if random.random() < 0.5:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def attack(number: int, site: Site) -> None:
    """Send what no device sends, until the server has had enough."""
    name = Random().choice(list(ATTACKS))
    async with await site.connect(name) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(_read_all, stream, nursery.cancel_scope)
        with trio.move_on_after(_LONGEST_ATTACK_S):
            async for data in ATTACKS[name](f"foe-{number}"):
                await stream.send_all(data)
        nursery.cancel_scope.cancel()


async def _read_all(stream: trio.SocketStream, attack: trio.CancelScope) -> None:
    with suppress(*GONE):
        while await stream.receive_some(65536):
            pass
    attack.cancel()


async def _again_and_again(foe: Foe, number: int, site: Site) -> None:
    await trio.sleep(Random(number).random())
    while True:
        try:
            await foe(number, site)
        except* GONE:
            pass
        await trio.sleep(0.1)


async def haunt(port: int, seconds: float, counts: dict[Foe, int]) -> dict[str, int]:
    """Be all of them for so long; how often each came."""
    site = Site(port)
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            for foe, count in counts.items():
                for number in range(count):
                    nursery.start_soon(_again_and_again, foe, number, site)
    return dict(site.visits)


def main() -> None:
    """Run, and print what was done."""
    port, seconds, *counts = sys.argv[1:]
    foes: dict[Foe, int] = dict(zip((freeze, flap, attack), map(int, counts), strict=True))
    print(json.dumps(trio.run(partial(haunt, int(port), float(seconds), foes))))


if __name__ == "__main__":
    main()
