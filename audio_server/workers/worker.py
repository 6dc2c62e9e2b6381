"""The process of one worker.

    run_worker
    ├─ cluster     frames to and from the supervisor, until it is gone
    ├─ answers     to questions about the devices, for the pages
    └─ serve_on    the server, as in one process

It drains on an order of the supervisor, or when that is gone. SIGTERM drains this worker alone,
and then the supervisor starts another one.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
import trio

from audio_server.assembly import make_devices, make_server, measuring
from audio_server.clips.clip import Clip
from audio_server.cluster.clip_list import ClipList, Sounds
from audio_server.cluster.group_list import FolderClips, GroupList, Members
from audio_server.cluster.interface import ClusterDown, Listener, Question
from audio_server.cluster.opening import make_tokens
from audio_server.cluster.ownership import Ownership
from audio_server.cluster.socket import SocketCluster
from audio_server.device.audio_source import AudioSource
from audio_server.device.registry import Devices
from audio_server.fleet.worker_answers import WorkerAnswers
from audio_server.groups.overrides import NONE, Overrides, shortest_lead_s
from audio_server.groups.profiles import Profiles
from audio_server.identity.access_policy import AccessPolicy
from audio_server.live.feed import FollowedChannels
from audio_server.metrics.shared_registry import SharedRegistry
from audio_server.process.gc_policy import collecting, spare_old_objects
from audio_server.process.logs import configure_logs
from audio_server.process.queued_stderr import queue_stderr
from audio_server.process.standard_files import prepare_standard_files
from audio_server.service.serving import serve_on
from audio_server.settings import Settings
from audio_server.settings.addresses import OFF
from audio_server.workers.parent_watch import ABORT_S, follow_supervisor
from audio_server.workers.sockets import listen
from audio_server.workers.worker_config import WorkerConfig, read_config

log = structlog.get_logger()


def main() -> None:
    """Be worker number `argv[1]`; open files are those to listen on.

    Standard input is the socket to the supervisor. Ends with status 0 when told to, or when the
    supervisor is gone.
    """
    spare_old_objects()
    faulthandler.enable()  # a loop that hangs tells where on SIGABRT
    number, *listening_fds = map(int, sys.argv[1:])
    config = read_config(sys.stdin.fileno())
    prepare_standard_files()
    queue_stderr()
    structlog.contextvars.bind_contextvars(worker=number)
    configure_logs(config.settings.log_format, config.settings.log_level)
    end_s = config.settings.drain_s + config.settings.grace_s
    follow_supervisor(sys.stdin.fileno(), within_s=end_s + ABORT_S)
    try:
        trio.run(_run, number, config, listening_fds)
    except Exception:
        log.exception("worker failed")
        raise SystemExit(1) from None


async def _run(number: int, config: WorkerConfig, listening_fds: Sequence[int]) -> None:
    stop = trio.Event()
    sock = socket.socket(fileno=os.dup(sys.stdin.fileno()))
    async with trio.open_nursery() as nursery:
        await nursery.start(_obey_sigterm, stop)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))
        await run_worker(number, config, listen(listening_fds), stream, stop)
        nursery.cancel_scope.cancel()


async def run_worker(
    number: int,
    config: WorkerConfig,
    listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
    stream: trio.abc.Stream,
    stop: trio.Event,
) -> None:
    """Serve devices until `stop` is set, or the supervisor at the other end of `stream` says so or
    is gone; then drain. Closes the listeners and the stream."""
    settings = config.settings
    meter = SharedRegistry(config.workers, config.registry_fd).row(number)
    cluster = SocketCluster(stream)
    ownership, sounds = Ownership(cluster), Sounds(cluster)
    clips, groups = ClipList(cluster, sounds), GroupList(cluster, sounds)
    live = FollowedChannels(settings.channels, settings.live_patience_s, cluster)
    devices = make_devices(settings, live.channels, store=ownership, meter=meter)
    access_policy, policing = _access_policy(settings)
    server = make_server(settings, devices, ownership, access_policy, meter, stop)
    answers = WorkerAnswers(devices, number, cluster.blob, records=settings.http != OFF)

    def use(clips: Sequence[Clip]) -> None:
        devices.change_clips([*clips, *live.channels] if live.channels else clips)

    grouped = _Grouped(devices, live.channels, settings.lead_ms)
    news = {
        "clips": partial(clips.fetch, use),
        "groups": partial(groups.fetch, grouped.use),
    }

    def asked(question: Question) -> None:
        if (fetch := news.get(question.what)) is not None:
            nursery.start_soon(_take_news, fetch, question)
        else:
            answers.asked(question)

    orders = {"drain": stop.set, "reload": access_policy.reload}
    told, reclaimed = (lambda order: orders[order]()), ownership.reclaimed
    listener = Listener(ownership.moved, asked, told, reclaimed, live.fed)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(measuring(devices, meter))
        await stack.enter_async_context(policing)
        await stack.enter_async_context(collecting(meter, grouped.shortest_lead_s))
        nursery = await stack.enter_async_context(trio.open_nursery())
        await stack.enter_async_context(answers.at_work())
        await stack.enter_async_context(cluster.joined(listener))
        nursery.start_soon(_stop_with_supervisor, cluster, stop)
        if live.channels:
            nursery.start_soon(live.run)
        await clips.fetch(use)
        await groups.fetch(grouped.use)
        async with trio.open_nursery() as serving:
            times = settings.grace_s, settings.drain_s
            await serving.start(serve_on, listeners, server, devices, stop, *times)
            cluster.tell("ready")
        nursery.cancel_scope.cancel()


def _access_policy(settings: Settings) -> tuple[AccessPolicy, AbstractAsyncContextManager[None]]:
    """Return the policy, and the block in which it keeps up with tokens."""
    tokens, keeping_up = make_tokens(settings)
    policy = AccessPolicy(settings, tokens)

    @asynccontextmanager
    async def policing() -> AsyncIterator[None]:
        async with policy.at_work(), keeping_up:
            yield

    return policy, policing()


class _Grouped:
    """The devices of a worker with the settings of their groups; the fleet's lead is `lead_ms`."""

    def __init__(self, devices: Devices, sources: Sequence[AudioSource], lead_ms: int) -> None:
        self._devices = devices
        self._lead_ms = lead_ms
        self._profiles = Profiles(lambda: devices.profile, sources)
        self._members: Members = {}
        devices.use_profiles(lambda device_id: self._profiles.of(self._of(device_id)))

    def _of(self, device_id: str) -> Overrides:
        return self._members.get(device_id, NONE)

    def use(self, members: Members, folders: FolderClips) -> None:
        """Have devices take these settings at once."""
        self._members = members
        self._profiles.use(folders)
        self._devices.change_profiles()

    def shortest_lead_s(self) -> float:
        """Return the shortest lead of a device, in seconds."""
        return shortest_lead_s(self._lead_ms, set(self._members.values()))


async def _take_news(fetch: Callable[[], Awaitable[None]], question: Question) -> None:
    """Take the newest clips or groups, then say so. A fault is logged, and the old ones stay."""
    try:
        await fetch()
    except ClusterDown:
        return
    except Exception:
        log.exception(f"{question.what} not taken")
    question.end(is_answered=True)


async def _stop_with_supervisor(cluster: SocketCluster, stop: trio.Event) -> None:
    await cluster.is_over.wait()
    if not stop.is_set():
        log.warning("the supervisor is gone")
        stop.set()


async def _obey_sigterm(stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            stop.set()
