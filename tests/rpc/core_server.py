"""The echo service on grpcio, gRPC's C core, as a process: says its port, ends with its input.

An argument is the size of its HPACK table in bytes.

A process, because the C core's threads and ours do not always part in peace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc

from audio_server.wire.comms_pb2 import AudioPacket


def echo(messages: Iterator[AudioPacket], context: Any) -> Iterator[AudioPacket]:
    yield from messages


def main() -> None:
    method = grpc.stream_stream_rpc_method_handler(
        echo, AudioPacket.FromString, AudioPacket.SerializeToString
    )
    service = grpc.method_handlers_generic_handler("test.Echo", {"Echo": method})
    table = [("grpc.http2.hpack_table_size.decoder", int(size)) for size in sys.argv[1:]]
    server = grpc.server(futures.ThreadPoolExecutor(16), options=table)
    server.add_generic_rpc_handlers((service,))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
