"""nghttp2, which shares no code with the project, as a client that keeps a small HPACK table.

Its package is nghttp2-client.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from audio_server.rpc.framing import frame_message
from audio_server.rpc.server import Server
from audio_server.service.health import HealthService

CALLS = 3
HEADERS = (":method: POST", "te: trailers", "content-type: application/grpc")


async def ask(port: int, message: Path, table_bytes: tuple[int, ...]) -> str:
    """Let nghttp ask for the server's health a few times; the frames that it saw."""
    command = ["nghttp", "-v", "-m", str(CALLS), "-d", str(message)]
    for header in HEADERS:
        command += ["-H", header]
    for size in table_bytes:  # of several it announces the least, then the last, in one frame
        command += ["-c", str(size)]
    url = f"http://127.0.0.1:{port}/grpc.health.v1.Health/Check"
    with trio.fail_after(60):
        done = await trio.run_process([*command, url], capture_stdout=True)
    return done.stdout.decode(errors="replace")


@pytest.mark.parametrize(
    "table_bytes",
    [(0,), (1,), (100,), (1024,), (4095,), (4096,), (65536,), (2**31 - 1,), (0, 4096), (9, 2000)],
)
async def test_a_table_of_any_size_is_kept_to(tmp_path: Path, table_bytes: tuple[int, ...]) -> None:
    message = tmp_path / "empty.grpc"
    message.write_bytes(frame_message(b""))
    server = Server(HealthService(trio.Event(), ()).__mapping__())
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.run, listeners)
        said = await ask(listeners[0].socket.getsockname()[1], message, table_bytes)
        nursery.cancel_scope.cancel()
    assert said.count("grpc-status: 0") == CALLS
    assert "COMPRESSION_ERROR" not in said
