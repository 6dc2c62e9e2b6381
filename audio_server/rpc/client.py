"""The client's end: a channel on which grpclib's generated stubs work.

async with open_channel(host, port) as channel:
    stub = DeviceServiceStub(channel)
    async with stub.EventStream.open(metadata={"device_id": "x"}) as call:
        ...
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NoReturn, Self

import trio
from google.protobuf.message import DecodeError
from grpclib.const import Cardinality, Status
from grpclib.encoding.proto import ProtoCodec
from grpclib.exceptions import GRPCError
from grpclib.metadata import USER_AGENT, decode_grpc_message, encode_metadata, encode_timeout
from grpclib.stream import StreamIterator
from h2.errors import ErrorCodes

from audio_server.rpc.client_connection import ClientConnection
from audio_server.rpc.framing import frame_message
from audio_server.rpc.headers import CONTENT_TYPE
from audio_server.rpc.io.tls import shake_hands
from audio_server.rpc.limits import Limits
from audio_server.rpc.proxy_header import LOCAL
from audio_server.rpc.statuses import status_of_http
from audio_server.rpc.stream import RpcStream
from audio_server.rpc.tls_errors import handshake_fault
from audio_server.rpc.trusted_proxies import Network, is_within

Metadata = Mapping[str, str | bytes] | Collection[tuple[str, str | bytes]]

_CODEC = ProtoCodec()


class Channel:
    """A connection to a server, with the one method that grpclib's stubs call, `request`."""

    def __init__(self, connection: ClientConnection, *, scheme: str, authority: str) -> None:
        self._connection = connection
        self._scheme = scheme
        self._authority = authority

    @property
    def __dispatch__(self) -> NoReturn:
        """Refuse the listeners of `grpclib.events`, which look for this name."""
        raise TypeError("grpclib.events does not work on this channel; wrap the calls instead")

    def request(
        self,
        name: str,
        cardinality: Cardinality,
        request_type: Any,
        reply_type: Any,
        *,
        timeout: float | None = None,
        deadline: Any = None,
        metadata: Metadata | None = None,
    ) -> ClientCall:
        """A call that begins when its `async with` block is entered."""
        if deadline is not None:
            timeout = deadline.time_remaining()
        headers = [
            (":method", "POST"),
            (":scheme", self._scheme),
            (":path", name),
            (":authority", self._authority),
            *([("grpc-timeout", encode_timeout(timeout))] if timeout is not None else []),
            ("te", "trailers"),
            ("content-type", CONTENT_TYPE),
            ("user-agent", USER_AGENT),
            *encode_metadata(metadata or ()),
        ]
        return ClientCall(self._connection, headers, cardinality, request_type, reply_type)


class ClientCall(StreamIterator[Any]):
    """One call. Leaving the block without having seen its status resets it."""

    def __init__(
        self,
        connection: ClientConnection,
        headers: list[tuple[str, str]],
        cardinality: Cardinality,
        request_type: Any,
        reply_type: Any,
    ) -> None:
        self._connection = connection
        self._headers = headers
        self._cardinality = cardinality
        self._request_type = request_type
        self._reply_type = reply_type
        self._stream: RpcStream | None = None

    async def __aenter__(self) -> Self:
        """Send the request's headers. Raises `GRPCError` UNAVAILABLE on a closed connection."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._stream = self._connection.open(self._headers)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._opened.reset_nowait(ErrorCodes.CANCEL)

    @property
    def _opened(self) -> RpcStream:
        if self._stream is None:
            raise RuntimeError("the call has not begun: enter its `async with` block first")
        return self._stream

    async def send_message(self, message: Any, *, end: bool = False) -> None:
        """Queue a message once there is room. Raises `GRPCError` when the call has ended."""
        framed = frame_message(_CODEC.encode(message, self._request_type))
        await self._opened.send_message(framed)
        if end or not self._cardinality.client_streaming:
            self._opened.end_local()

    def ping(self) -> None:
        """Send a PING on the connection of the call; its answer is not waited for."""
        self._connection.http2.ping()
        self._connection.flush_soon()

    async def end(self) -> None:
        """Say that no more messages follow."""
        self._opened.end_local()

    async def cancel(self) -> None:
        """End the call at once; the server sees a reset."""
        self._opened.reset_nowait(ErrorCodes.CANCEL)
        self._opened.fail(GRPCError(Status.CANCELLED, "cancelled by this side"))

    async def recv_message(self) -> Any:
        """The next message; None when the call has ended well, else `GRPCError`."""
        await self._opened.receive_headers()
        data = await self._opened.receive_message()
        if data is None:
            self._raise_status()
            return None
        try:
            return _CODEC.decode(data, self._reply_type)
        except DecodeError:
            raise GRPCError(Status.INTERNAL, "a message cannot be decoded") from None

    async def recv_trailing_metadata(self) -> None:
        """Wait for the end of the call; messages left are dropped."""
        while await self.recv_message() is not None:
            pass

    def _raise_status(self) -> None:
        stream = self._opened
        fields = dict(stream.trailers or stream.headers or ())
        if b"grpc-status" not in fields:
            http_status = dict(stream.headers or ()).get(b":status", b"")
            reason = f"the call ended without a gRPC status (HTTP {http_status.decode('latin-1')})"
            raise GRPCError(status_of_http(http_status), reason)
        try:
            status = Status(int(fields[b"grpc-status"]))
        except ValueError:
            raise GRPCError(Status.UNKNOWN, "the call ended with an odd status") from None
        if status is not Status.OK:
            text = fields.get(b"grpc-message", b"").decode("ascii", "replace")
            raise GRPCError(status, decode_grpc_message(text))


@asynccontextmanager
async def channel_over(
    transport: trio.abc.Stream,
    *,
    limits: Limits | None = None,
    scheme: str = "http",
    authority: str = "localhost",
) -> AsyncIterator[Channel]:
    """A channel on a transport that is connected already; closes it.

    Leaving the block ends every call. A connection lost inside it fails the calls
    (UNAVAILABLE), not the block.
    """
    connection = ClientConnection(transport, limits=limits or Limits())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run)
        yield Channel(connection, scheme=scheme, authority=authority)
        connection.finish()


@asynccontextmanager
async def open_channel(
    host: str,
    port: int,
    *,
    ssl_context: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    proxies: Sequence[Network] = (),
) -> AsyncIterator[Channel]:
    """Connect, over TLS if there is a context for it, else in plaintext.

    From an address in `proxies` the connection begins with a PROXY header that names no client, as
    a server with `proxy_protocol` awaits it of its trusted proxies.

    Raises `OSError` when no server answers there or the handshake fails.
    """
    socket_stream = await trio.open_tcp_stream(host, port)
    if is_within(str(socket_stream.socket.getsockname()[0]), proxies):
        await socket_stream.send_all(LOCAL)
    transport: trio.abc.Stream = socket_stream
    if ssl_context is not None:
        transport = await _over_tls(transport, ssl_context, host)
    scheme = "http" if ssl_context is None else "https"
    authority = f"{host}:{port}"
    async with channel_over(
        transport, limits=limits, scheme=scheme, authority=authority
    ) as channel:
        yield channel


async def _over_tls(
    transport: trio.abc.Stream, context: ssl.SSLContext, host: str
) -> trio.abc.Stream:
    """Do the client's handshake; closes the transport if it fails."""
    stream = trio.SSLStream(transport, context, server_hostname=host, https_compatible=True)
    try:
        await shake_hands(stream)
    except BaseException as error:
        await trio.aclose_forcefully(transport)
        if isinstance(error, trio.BrokenResourceError):
            raise ConnectionError(handshake_fault(error.__cause__ or error)) from error
        raise
    return stream
