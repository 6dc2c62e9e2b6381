"""gRPC on trio: a server and a client for grpclib's generated stubs, with no asyncio loop.

A library of its own: it knows nothing of the rest of this project.

    from audio_server.rpc import Server, open_channel

    server = Server([EchoService()])                  # services that grpclib's plugin generated
    await nursery.start(server.run, listeners)        # listeners of trio.open_tcp_listeners
    ...
    await server.drain()                              # two GOAWAYs, then every call has ended

    async with open_channel(host, port) as channel:   # TLS with ssl_context=...
        reply = await EchoStub(channel).Echo(request)

How it works
============

From the wire up:

- `io/` moves bytes. `sockets` and `tls_socket` are one interface with TLS and without; `reader` and
  `writer` carry the bytes of one connection; `epoll` and `fair_queue` share one turn of the loop
  among many connections; `accept` takes new ones.
- `http2/` is the protocol without I/O. `frames` cuts bytes into frames, `connection_state` drives
  h2, which `hardened` bounds and `compact` makes small; `flood_guard` and `timers` judge a peer by
  its frames and by the clock.
- `messages` and `inbound` make gRPC messages of DATA frames, `stream` is one call, `dispatch` maps
  frames to calls, `headers` reads requests, `statuses` maps errors to statuses.
- `connection` holds the tasks of one connection, and its `intake`, which reads frames and keeps
  deadlines; `server_connection` and `client_connection` are its two kinds. `call_runner` runs
  handlers; each gets a `call`, which is grpclib's `Stream`. `client` has the channel for stubs.
- `server` accepts connections, `admission` and `rate_limit` decide which, `limits` has every bound.
  `proxy_header` and `io.proxy_reader` find the client of one that a proxy for TCP has opened.

Every limit is a field of `Limits`. An error of a handler becomes the status of its call; a
`grpclib.GRPCError` is passed on, anything else is logged and answered UNKNOWN without its text.
A peer that breaks HTTP/2 gets a GOAWAY and ends alone. The listeners of `grpclib.events` are
refused with a `TypeError`: wrap a handler, or a call, instead.

Only this package may import h2, or the internals of grpclib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audio_server.rpc.call import ServerCall
    from audio_server.rpc.client import Channel, open_channel
    from audio_server.rpc.errors import (
        MalformedRequestError,
        PeerError,
        PeerSilentError,
        RefusedRequestError,
    )
    from audio_server.rpc.instrumentation import Instrumentation
    from audio_server.rpc.limits import Limits
    from audio_server.rpc.server import Server

__all__ = [
    "Channel",
    "Instrumentation",
    "Limits",
    "MalformedRequestError",
    "PeerError",
    "PeerSilentError",
    "RefusedRequestError",
    "Server",
    "ServerCall",
    "open_channel",
]

_HOMES = {
    "call": ("ServerCall",),
    "client": ("Channel", "open_channel"),
    "errors": ("MalformedRequestError", "PeerError", "PeerSilentError", "RefusedRequestError"),
    "instrumentation": ("Instrumentation",),
    "limits": ("Limits",),
    "server": ("Server",),
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: settings need the limits, and no HTTP/2."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
