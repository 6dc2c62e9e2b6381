"""The sound of a listener, decoded, against the sound of the source."""

from __future__ import annotations

import math
from array import array
from functools import partial
from random import Random

import av
import trio
from stage import Stage
from trio.testing import MockClock

from audio_server.clips.encoder import OpusEncoder
from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.device.live_channel import LiveChannel
from audio_server.device.live_flow import Counts

RATE_HZ, SAMPLES, PACKET_S = 48_000, 960, 0.02
DELAY = 312
"""Samples by which libopus is late."""

SECONDS = 12


def melody(seconds: int) -> array[int]:
    """Tones of random pitch, 100 ms each: no part of it is like another one."""
    random, wave = Random(7), array("h")
    for _ in range(seconds * 10):
        step = random.uniform(200, 2000) * math.tau / RATE_HZ
        wave.extend(round(9000 * math.sin(n * step)) for n in range(RATE_HZ // 10))
    return wave


def encoded(wave: array[int]) -> list[bytes]:
    encoder, packets = OpusEncoder(), []
    for at in range(0, len(wave), SAMPLES):
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.sample_rate = RATE_HZ
        frame.planes[0].update(wave[at : at + SAMPLES].tobytes())
        packets += encoder.push(frame)
    return packets + encoder.finish()


def correlation(one: array[int], other: array[int]) -> float:
    """From 0, no likeness, to 1; of every third sample."""
    pairs = list(zip(one[::3], other[::3], strict=True))
    product = sum(a * b for a, b in pairs)
    return product / math.sqrt(sum(a * a for a, _ in pairs) * sum(b * b for _, b in pairs))


async def send(channel: LiveChannel, packets: list[bytes], jitter_s: float) -> None:
    random, begun = Random(3), trio.current_time()
    with channel.sending():
        for number, packet in enumerate(packets):
            late_s = random.uniform(0, jitter_s)
            await trio.sleep_until(begun + number * PACKET_S + late_s)
            channel.put(packet)


async def test_a_listener_hears_the_source_without_a_gap(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    """With a source whose packets come up to 30 ms late."""
    wave = melody(SECONDS)
    packets = encoded(wave)
    channel = LiveChannel("radio", 1.0)
    nursery.start_soon(partial(send, channel, packets, 0.03))
    await trio.sleep(2)
    at = channel.edge
    with trio.move_on_after(7):
        await stage.take(channel).play(stage.stream)  # type: ignore[arg-type]
    heard = [one.data for one in stage.sink.packets if not one.is_end]
    first = packets.index(heard[0])
    gaps = sum(a != b for a, b in zip(heard, packets[first:], strict=False))
    assert at - 20 < first <= at
    assert len(heard) >= 7 * 50
    assert gaps == 0
    assert channel.counts == Counts()
    decoder, pcm = OpusDecoder(), array("h")
    for packet in heard:
        pcm.frombytes(decoder.decode(packet))
    skipped = 5 * SAMPLES  # the decoder begins in the midst of the sound
    start = first * SAMPLES - DELAY
    sound = pcm[skipped:]
    source = wave[start + skipped : start + len(pcm)]
    assert correlation(sound, source) > 0.98
    shifted = wave[start + skipped + SAMPLES : start + len(pcm) + SAMPLES]
    assert correlation(sound, shifted) < 0.5  # so a packet too many or too few would be seen
