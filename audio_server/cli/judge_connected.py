"""Devices that are connected to a running server, judged by it, as a command asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from audio_server.client.api import Api
from audio_server.client.connection import Document
from audio_server.client.server import ServerError
from audio_server.errors import leaves
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings, Verdict
from audio_server.judge.report import findings_of
from audio_server.judge.trial import Patience
from audio_server.process.output import say
from audio_server.process.printable import printable

AT_ONCE = 4
"""Devices that are judged side by side: a server judges no more."""

ENDED = "the server ended the trial"


async def judge_connected(
    api: Api, device_ids: Sequence[str], patience: Patience, *, cut: bool
) -> tuple[list[Findings], list[str]]:
    """Judge devices; return the findings, and a line for each device that was not judged to the
    end. Raises `ServerError` where there is only one, and it was not judged."""
    found: dict[str, Findings] = {}
    faults: list[str] = []
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def judge(device_id: str) -> None:
        async with limiter:
            try:
                outcome = await _judged(api, device_id, patience, cut)
            except* ServerError as group:
                faults.append(str(next(leaves(group))))
            else:
                found[device_id] = findings = findings_of(outcome)
                if outcome.get("left"):
                    line = f"{device_id}: {printable(outcome['left'])}"
                    has_returned = findings.verdict(Duty.RETURN) is Verdict.KEPT
                    if has_returned:
                        say(line)
                    else:
                        faults.append(line)

    async with trio.open_nursery() as nursery:
        for device_id in device_ids:
            nursery.start_soon(judge, device_id)
    if len(device_ids) == 1 and not found:
        raise ServerError(faults[0])
    return [found[one] for one in device_ids if one in found], faults


async def _judged(api: Api, device_id: str, patience: Patience, cut: bool) -> Document:
    """Return the outcome of a trial; tells its steps. Raises `ServerError`."""
    times = patience.press_s, patience.return_s
    async with api.judge(device_id, *times, cut=cut) as events:
        async for name, told in events:
            match name:
                case "step":
                    say(f"{device_id}: {printable(told['text'])}")
                case "findings":
                    return told
                case "failed":
                    raise ServerError(f"{device_id}: {printable(told['reason'])}")
    raise ServerError(f"{device_id}: {ENDED}")
