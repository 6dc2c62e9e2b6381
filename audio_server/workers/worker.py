"""The process of one worker.

    run_worker
    ├─ uplink      writes the messages that the pipe to the supervisor did not take at once
    ├─ messages    those of the supervisor, until it is gone
    ├─ ipc_server  answers questions about the devices, for the pages
    └─ serve_on    the server, as in one process

It drains on a message of the supervisor, or when that is gone. SIGTERM drains this worker alone,
and then the supervisor starts another one.
"""

from __future__ import annotations

import faulthandler
import signal
import socket
import sys
from collections.abc import Sequence

import structlog
import trio

from audio_server.app import make_devices, make_limits, serve_on
from audio_server.device.registry import Devices
from audio_server.fleet.ipc_server import IpcServer
from audio_server.fleet.line_reader import LineReader
from audio_server.identity.access_policy import AccessPolicy
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.process.gc_policy import collecting, spare_old_objects
from audio_server.process.logs import configure_logs
from audio_server.process.queued_stderr import queue_stderr
from audio_server.process.rlimits import most_connections
from audio_server.process.standard_files import prepare_standard_files
from audio_server.rpc.server import Server
from audio_server.service.services import all_services
from audio_server.settings import OFF
from audio_server.workers.cache import OwnershipCache
from audio_server.workers.connection_ids import ConnectionIds
from audio_server.workers.descriptor_passing import take_boot, take_clips
from audio_server.workers.messages import (
    Drain,
    Granted,
    Kept,
    Moved,
    Ready,
    Refused,
    Reload,
    decode_down,
)
from audio_server.workers.ownership import ClaimingService, Ownership
from audio_server.workers.parent_watch import ABORT_S, follow_supervisor
from audio_server.workers.sockets import listen
from audio_server.workers.uplink import Uplink
from audio_server.workers.worker_config import WorkerConfig

_READ_BYTES = 16 * 1024

log = structlog.get_logger()


def main() -> None:
    """Be worker number `argv[1]`; open files are the pipe to write to, the socket of `handover`,
    the one on which it is asked, and those to listen on.

    News comes by standard input. Ends with status 0 when told to, or when the supervisor is gone.
    """
    spare_old_objects()
    faulthandler.enable()  # a loop that hangs tells where on SIGABRT
    number, uplink_fd, handover_fd, asked_fd, *listening_fds = map(int, sys.argv[1:])
    handover = socket.socket(fileno=handover_fd)
    boot = take_boot(handover)
    prepare_standard_files()
    queue_stderr()
    structlog.contextvars.bind_contextvars(worker=number)
    configure_logs(boot.settings.log_format, boot.settings.log_level)
    follow_supervisor(sys.stdin.fileno(), within_s=boot.settings.grace_s + ABORT_S)
    try:
        trio.run(_run, number, boot, uplink_fd, handover, asked_fd, listening_fds)
    except Exception:
        log.exception("worker failed")
        raise SystemExit(1) from None


async def _run(
    number: int,
    boot: WorkerConfig,
    uplink_fd: int,
    handover: socket.socket,
    asked_fd: int,
    listening_fds: Sequence[int],
) -> None:
    stop = trio.Event()
    asked = trio.SocketStream(trio.socket.from_stdlib_socket(socket.socket(fileno=asked_fd)))
    async with trio.open_nursery() as nursery:
        await nursery.start(_obey_sigterm, stop)
        news = trio.lowlevel.FdStream(sys.stdin.fileno())
        listeners, uplink = listen(listening_fds), Uplink(uplink_fd)
        await run_worker(number, boot, listeners, uplink, news, handover, asked, stop)
        nursery.cancel_scope.cancel()


async def run_worker(
    number: int,
    boot: WorkerConfig,
    listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
    uplink: Uplink,
    news: trio.abc.ReceiveStream,
    handover: socket.socket,
    asked: trio.abc.Stream,
    stop: trio.Event,
) -> None:
    """Serve devices until `stop` is set, or `news` has a drain or ends; then drain.

    Clips that `handover` passes are played from then on. Questions on `asked` about the devices are
    answered, if there are pages. Closes the listeners, `news` and `asked`.
    """
    meter = SharedRegistry(boot.workers, boot.registry_fd).row(number)
    cache = OwnershipCache(number, lambda device_id: device_id in devices.by_id)
    ownership = Ownership(
        number,
        uplink,
        cache,
        lambda device_id, connection: devices.is_attached(device_id, connection),
        confirms=boot.confirms,
    )
    devices = make_devices(boot.settings, boot.clips, store=ownership, meter=meter)
    access_policy, limits = (
        AccessPolicy(boot.settings),
        make_limits(boot.settings, most_connections()),
    )
    numbers = ConnectionIds(number, boot.workers)
    server = Server(
        all_services(
            ClaimingService(devices, ownership, numbers, access_policy, limits.presses), stop
        ),
        limits=limits,
        trusted_proxies=boot.settings.trusted_proxies,
        number=numbers,
        secure=access_policy.secure if access_policy.is_encrypted else None,
        meter=meter,
    )
    garbage = collecting(meter, boot.settings.lead_ms / 1000)
    async with meter.at_work(), access_policy.at_work(), garbage, trio.open_nursery() as nursery:
        nursery.start_soon(uplink.run)
        nursery.start_soon(take_clips, handover, devices)
        if boot.settings.http == OFF:
            await asked.aclose()
        else:
            nursery.start_soon(IpcServer(devices, number).run, asked)
        nursery.start_soon(_hear, news, ownership, devices, access_policy, stop)
        async with trio.open_nursery() as serving:
            await serving.start(serve_on, listeners, server, devices, stop, boot.settings.grace_s)
            uplink.send(Ready(number))
        nursery.cancel_scope.cancel()


async def _hear(
    news: trio.abc.ReceiveStream,
    ownership: Ownership,
    devices: Devices,
    access_policy: AccessPolicy,
    stop: trio.Event,
) -> None:
    """Act on messages of the supervisor."""
    lines = LineReader()
    async with news:
        while data := await news.receive_some(_READ_BYTES):
            for message in map(decode_down, lines.feed(bytes(data))):
                match message:
                    case Drain():
                        stop.set()
                    case Reload():
                        access_policy.reload()
                    case Granted() | Refused() | Kept():
                        ownership.hear(message)
                    case Moved():
                        if ownership.moved(message):
                            devices.release(message.device_id)
    if not stop.is_set():
        log.warning("the supervisor is gone")
        stop.set()


async def _obey_sigterm(stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
