"""The edge round each call: its handler runs in a task, and each outcome becomes a gRPC status.

An error of a handler is logged here, and ends its call alone.
"""

from __future__ import annotations

import structlog
import trio
from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError, ProtocolError
from h2.errors import ErrorCodes

from audio_server.rpc.call import ServerCall
from audio_server.rpc.headers import Request
from audio_server.rpc.instrumentation import Instrumentation
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.stream import RpcStream

log = structlog.get_logger()


class CallRunner:
    """Runs the calls of one connection; a call's end is told to its `connection.call_over`."""

    __slots__ = ("_accepted", "_meter", "_peer", "_unread_s")

    def __init__(self, meter: Instrumentation, peer: Peer, unread_s: float) -> None:
        self._meter = meter
        self._peer = peer
        self._unread_s = unread_s
        self._accepted: list[tuple[RpcStream, ServerCall, Handler]] = []

    def start(
        self, stream: RpcStream, request: Request, method: Handler, calls: trio.Nursery
    ) -> None:
        """Run a request that was accepted in a task of `calls`."""
        self._accepted.append((stream, ServerCall(stream, request, method), method))
        self._meter.call_begun(request.path)
        calls.start_soon(self._serve_call, name="call")

    async def _serve_call(self) -> None:
        """Run the next accepted request and map its outcome to a gRPC status.

        trio begins tasks in any order, and of two calls that come together the later one is to
        be the newer to its handler too.
        """
        stream, call, method = self._accepted.pop(0)
        status = Status.CANCELLED
        try:
            failure = await self._run_handler(call, stream, method)
            status = Status.OK if failure is None else failure.status
            await self._answer(call, failure)
            await self._see_off(stream)
        finally:
            self._meter.call_ended(call._method_name, status)
            stream.has_handler = False
            stream.connection.call_over(stream)

    async def _see_off(self, stream: RpcStream) -> None:
        """Reset a stream whose status the peer does not take in time."""
        with trio.move_on_after(self._unread_s) as patience:
            await stream.wait_sent()
        if patience.cancelled_caught:
            stream.reset_nowait(ErrorCodes.CANCEL)

    async def _run_handler(
        self, call: ServerCall, stream: RpcStream, method: Handler
    ) -> GRPCError | None:
        """Run a handler; return its failure as the status for the client."""
        failure: GRPCError | None = None
        try:
            with stream.scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # a call reset by now never begins
                await method.func(call)
        except* GRPCError as group:
            failure = _first(group)
        except* Exception:
            log.exception("handler failed", peer=str(self._peer), method=call._method_name)
            failure = GRPCError(Status.UNKNOWN, "Internal Server Error")
        if stream.failure is not None:
            return stream.failure
        if failure is None and stream.scope.cancelled_caught:
            return GRPCError(Status.DEADLINE_EXCEEDED, "Deadline exceeded")
        return failure

    async def _answer(self, call: ServerCall, failure: GRPCError | None) -> None:
        """Send the call's status, unless the handler has. Never blocks, so is never cancelled."""
        if call._send_trailing_metadata_done or call._cancel_done:
            return
        try:
            if failure is None:
                await call.send_trailing_metadata()
            else:
                await call.send_trailing_metadata(
                    status=failure.status, status_message=failure.message
                )
        except ProtocolError:
            log.exception(
                "handler broke its contract", peer=str(self._peer), method=call._method_name
            )
            await call.send_trailing_metadata(status=Status.INTERNAL)


def _first(group: BaseExceptionGroup[GRPCError]) -> GRPCError:
    """One error of a group, wherever in it: a call has one status."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GRPCError)
    # A copy: its traceback would keep the call that keeps it.
    return GRPCError(error.status, error.message, error.details)
