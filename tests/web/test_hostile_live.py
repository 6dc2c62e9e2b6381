"""Bodies for a live channel that are slow, endless, fast, cut or garbage: each is ended or slowed
down, within bounds of memory, and the channel is free again."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from typing import Any

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, scope_of
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from audio_server.clips.ogg import _HEAD, _page, _with_checksum, opus_bytes
from audio_server.clips.ogg_opus import NotPlainOpus, OpusStream
from audio_server.device.live_channel import RING, LiveChannel
from audio_server.live.pace import AHEAD_S, BEHIND_S, BYTES_A_S
from audio_server.web.api.bodies import SILENT_S
from audio_server.web.api.channels import NOT_OPUS

OURS = {"origin": f"http://{HOST}"}
PACKETS = [b"\xf8" + number.to_bytes(4, "big") for number in range(500)]
SOUND = opus_bytes(PACKETS)
HEAD = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
MIB = 1 << 20


@pytest.fixture
def channel() -> LiveChannel:
    return LiveChannel("radio")


@pytest.fixture
async def api(channel: LiveChannel) -> AsyncIterator[Api]:
    async with an_api(channels=[channel]) as made:
        yield made


class Sender:
    """A client whose body is `parts`, each (seconds of waiting, bytes)."""

    def __init__(self, api: Api, parts: Iterator[tuple[float, bytes]]) -> None:
        self._api = api
        self._parts = parts
        self.taken = 0
        self.status: int | None = None
        self.answer = b""

    async def run(self) -> None:
        scope = {**scope_of("PUT", "/api/live/radio", {"host": HOST}, "10.0.0.9"), "scheme": "http"}
        await self._api.app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        for wait_s, data in self._parts:
            await trio.sleep(wait_s)
            self.taken += len(data)
            return {"type": "http.request", "body": data, "more_body": True}
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.answer += message.get("body", b"")


def forever(data: bytes, every_s: float = 0.0) -> Iterator[tuple[float, bytes]]:
    while True:
        yield every_s, data


def then(first: bytes, rest: Iterator[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    yield 0.0, first
    yield from rest


def empty_page(number: int) -> bytes:
    return _page(0, 0, 7, number, [])


HEADS = _page(2, 0, 7, 0, [HEAD])


async def test_one_byte_every_29_seconds(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    sender = Sender(api, ((SILENT_S - 1, SOUND[at : at + 1]) for at in range(len(SOUND))))
    begun = trio.current_time()
    with trio.fail_after(300):
        await sender.run()
    assert sender.status == 408
    assert trio.current_time() - begun < 3 * SILENT_S + 20
    assert not channel.is_sending


async def test_pages_without_sound_for_ever(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    """As fast as they can be sent: the bytes are taken at a bounded pace, then the sender goes."""
    pages = b"".join(map(empty_page, range(1, 200)))
    sender = Sender(api, then(HEADS, forever(pages)))
    with trio.fail_after(300):
        await sender.run()
    assert sender.status in (408, 422)
    assert channel.edge == 0
    assert not channel.is_sending


async def test_tags_that_never_end_take_bounded_memory(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    def pages() -> Iterator[tuple[float, bytes]]:
        yield 0.0, HEADS
        number = 1
        while True:
            segments = b"\xff" * 255
            body = bytes(255 * 255) if number > 1 else b"OpusTags".ljust(255 * 255, b"x")
            yield 0.0, _raw_page(1 if number > 1 else 0, number, segments, body)
            number += 1

    tracemalloc.start()
    sender = Sender(api, pages())
    with trio.fail_after(1000):
        await sender.run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sender.status in (408, 422)
    assert sender.taken > MIB
    assert peak < 8 * MIB
    assert not channel.is_sending


def _raw_page(flags: int, number: int, laces: bytes, body: bytes) -> bytes:
    head = _HEAD.pack(b"OggS", 0, flags, -1, 7, number, 0, len(laces))
    return _with_checksum(head + laces + body)


async def test_a_sound_that_is_sent_as_fast_as_can_be_is_slowed_down(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    """A file of any size is taken in real time: 10 GB would be months of sound, in the memory of a
    ring of ten seconds."""
    large = opus_bytes([b"\xf8" + bytes(1200)] * 500)
    tracemalloc.start()
    sender = Sender(api, forever(large))
    with trio.move_on_after(200):
        await sender.run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert abs(channel.edge - 200 * 50) <= (AHEAD_S + 1) * 50 + 200 * 50 * 0.002
    assert sender.taken < 200 * BYTES_A_S
    assert peak < 8 * MIB
    assert channel.edge - channel.oldest == RING
    assert not channel.is_sending


async def test_garbage_is_refused_and_an_endless_rest_is_not_read(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    sender = Sender(api, forever(b"\x00" * 65_536))
    with trio.fail_after(100):
        await sender.run()
    assert sender.status == 422
    assert NOT_OPUS.encode()[:20] in sender.answer
    assert sender.taken < 300 * MIB
    assert not channel.is_sending


@pytest.mark.parametrize("cut", [1, 30, 200, 3000, 9000])
async def test_a_sender_that_is_cut_can_come_back_at_once(
    api: Api, channel: LiveChannel, cut: int, autojump_clock: MockClock
) -> None:
    first = Sender(api, iter([(0.0, SOUND[:cut])]))
    await first.run()
    assert first.status is None
    assert not channel.is_sending
    before = channel.edge
    again = await api.ask("PUT", "/api/live/radio", SOUND, **OURS)
    assert again.json == {"seconds": 10.0}
    assert channel.edge == before + 500


async def test_sound_that_was_held_up_is_at_the_edge_again(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    """The network stands still for three seconds, and then brings all of it at once."""

    def parts() -> Iterator[tuple[float, bytes]]:
        pages = [SOUND, *[opus_bytes(PACKETS[:50])] * 20]
        yield 0.0, pages[0]
        for second in range(1, 21):
            yield {5: 4.0, 6: 0.0, 7: 0.0, 8: 0.0}.get(second, 1.0), pages[second]

    sender = Sender(api, parts())
    begun = trio.current_time()
    await sender.run()
    late = 3 * BEHIND_S
    assert trio.current_time() - begun < 10 + 20 + late
    assert channel.edge == 500 + 20 * 50


async def test_a_burst_after_a_long_pause_is_bounded(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    minute = opus_bytes(PACKETS * 6)
    sender = Sender(api, iter([(0.0, SOUND), (SILENT_S - 12, minute), (0.0, minute)]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        await trio.sleep(SILENT_S)
        assert channel.edge <= 500 + (BEHIND_S + SILENT_S) * 50
        nursery.cancel_scope.cancel()


@settings(max_examples=60, deadline=None)
@given(
    noise=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4),
    cuts=st.lists(st.integers(0, len(SOUND)), max_size=5),
)
def test_any_damage_is_refused_or_leaves_packets_that_devices_take(
    noise: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(SOUND)
    for at, byte in noise:
        data[at] = byte
    stream, heard = OpusStream(), []
    edges = [0, *sorted(cuts), len(data)]
    try:
        for start, stop in pairwise(edges):
            heard += stream.push(bytes(data[start:stop]))
    except NotPlainOpus:
        pass
    assert heard == PACKETS[: len(heard)]
