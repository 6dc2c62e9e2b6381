"""The process that reads the source of a channel for a server: `python -m` this module.

Standard input has the URL and other hosts to which it may lead, in a line with blanks between, and
is open for as long as the server lives; standard output takes Opus in Ogg.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterable
from typing import Any, cast

import trio

from audio_server.cli.live_sources import PACKET_S, send_web
from audio_server.client.api import Api
from audio_server.clips.errors import ClipError
from audio_server.clips.web_address import Addresses
from audio_server.process.output import say_error

OPTION = "live_allow_hosts"


class Pipe:
    """In the place of the API of a server: sound goes to standard output."""

    async def send_live(self, channel: str, parts: AsyncIterable[bytes]) -> float:
        """Write pages; return their seconds."""
        pages = 0
        async for part in parts:
            await trio.to_thread.run_sync(_write, part)
            pages += 1
        return pages * PACKET_S


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> None:
    """Read the URL, for as long as standard input is open; end with status 1 for an error."""
    url, *hosts = sys.stdin.buffer.readline().decode().split()
    try:
        trio.run(_read, Addresses(url, tuple(hosts), OPTION))
    except* ClipError as errors:
        say_error(*(str(error) for error in errors.exceptions))
        raise SystemExit(1) from None
    except* BrokenPipeError:  # the server is gone
        raise SystemExit(1) from None


async def _read(addresses: Addresses) -> None:
    api: Any = Pipe()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_with_server, nursery.cancel_scope)
        await send_web(cast(Api, api), "", addresses)
        nursery.cancel_scope.cancel()


async def _end_with_server(scope: trio.CancelScope) -> None:
    # Not through the buffer: a read that is left to itself would hold its lock, and the
    # interpreter, which takes that when it ends, would abort.
    await trio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1, abandon_on_cancel=True)
    scope.cancel()


if __name__ == "__main__":
    main()
