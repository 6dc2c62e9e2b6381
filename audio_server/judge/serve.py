"""The judge as a server: devices come to it, and each has its trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import trio

from audio_server.identity.access_policy import AccessPolicy
from audio_server.judge.findings import Findings
from audio_server.judge.seat import Seat
from audio_server.judge.service import JudgeService
from audio_server.judge.sound import make_hiss
from audio_server.judge.trial import Patience, Tell, run_trial
from audio_server.process.addresses import open_listeners
from audio_server.rpc.server import Server
from audio_server.settings import Settings


async def judge_devices(
    settings: Settings, device_ids: Sequence[str], tell: Tell, patience: Patience, wait_s: float
) -> list[Findings]:
    """Judge the devices named, side by side, or without a name the first that comes; return the
    findings about those that came within `wait_s`.

    Of the settings the address and TLS count. Raises `SetupError` for certificates and `OSError`
    for an address that cannot be used.
    """
    access_policy = AccessPolicy(settings)
    put, take = trio.open_memory_channel[Seat](math.inf)  # one for each device at most
    service = JudgeService(device_ids, put.send_nowait, access_policy)
    secure = access_policy.secure if access_policy.is_encrypted else None
    server = Server([service], secure=secure)
    sound = await trio.to_thread.run_sync(make_hiss)
    listeners = await open_listeners(settings.host, settings.port)
    findings: list[Findings] = []
    async with access_policy.at_work(), trio.open_nursery() as nursery:
        await nursery.start(server.run, listeners)
        host, port = settings.host, listeners[0].socket.getsockname()[1]
        tell(f"listening on [{host}]:{port}" if ":" in host else f"listening on {host}:{port}")
        async with trio.open_nursery() as trials:
            with trio.move_on_after(wait_s):
                for _ in range(max(1, len(device_ids))):
                    seat = await take.receive()
                    findings.append(seat.findings)
                    say = partial(_tell_of, seat.device_id, tell)
                    trials.start_soon(run_trial, seat, sound, say, patience)
        nursery.cancel_scope.cancel()
    return findings


def _tell_of(device_id: str, tell: Tell, line: str) -> None:
    tell(f"{device_id}: {line}")
