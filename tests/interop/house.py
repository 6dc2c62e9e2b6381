"""What the tests share: which clips the server has, and what its devices show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from heard import Take, takes_of
from stock_device import StockDevice
from stock_session import Options

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.simulator.buttons import Button

MakeDevice = Callable[..., StockDevice]

HOME, SHORT, SINGLE, LONG, DENSE, TONE = range(6)
MODES = 6
"""Mode 5 is past the four shapes; its clip is no Opus file."""

SMALL_WINDOW_BYTES, LARGE_WINDOW_BYTES = 4096, 8192


def window(size_bytes: int) -> Options:
    """Options for a device that holds little sound which it has not read (up to 1.5 times this).

    Of itself grpcio takes 4 MiB ahead, minutes of sound, before the server notices anything.
    """
    return (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", size_bytes))


SMALL_WINDOW, LARGE_WINDOW = window(SMALL_WINDOW_BYTES), window(LARGE_WINDOW_BYTES)


@dataclass(frozen=True)
class MadeClips:
    """The clips of the server, and what their packets are."""

    folder: Path
    cache: Path
    home: Sequence[bytes]
    short: Sequence[bytes]
    single: Sequence[bytes]
    long: Sequence[bytes]
    dense: Sequence[bytes]


def at_once(*scenes: Callable[[], object]) -> None:
    """Run scenes side by side, each with devices of its own; raises what one raises."""
    with ThreadPoolExecutor(len(scenes)) as pool:
        for running in [pool.submit(scene) for scene in scenes]:
            running.result()


def frame(mode: int, *, playing: bool = False) -> tuple[int, ...]:
    """The LEDs of a state."""
    return leds(State(mode, playing=mode if playing else None))


def wait_shown(device: StockDevice, mode: int, *, playing: bool = False) -> None:
    """Wait until a device draws a state."""
    device.wait(lambda: device.leds == frame(mode, playing=playing))


def settle(device: StockDevice) -> None:
    """A press ends the start-up sequence: what is shown from now on is the state."""
    device.press(Button.CONNECT)
    device.wait_answered()


def select(device: StockDevice, mode: int) -> None:
    """Go from mode 0 to a mode, as a user does."""
    device.press(*[Button.MODE] * mode)
    device.wait_answered()


def play(device: StockDevice, *, packets: int = 1) -> None:
    """Press Play, and wait until so many packets of the new take are there."""
    before = len(_starts(device))
    device.press(Button.PLAY)
    device.wait(lambda: _starts(device)[before:] and _since_start(device) >= packets)


def _starts(device: StockDevice) -> list[int]:
    return [index for index, packet in enumerate(device.packets) if packet.is_start]


def _since_start(device: StockDevice) -> int:
    return len(device.packets) - _starts(device)[-1]


def wait_takes(device: StockDevice, count: int, *, within_s: float = 30.0) -> list[Take]:
    """Wait until a device's audio stream has had so many whole takes; it must have no more."""
    ends = device.wait(
        lambda: [p for p in device.packets if p.is_end][count - 1 :], within_s=within_s
    )
    assert len(ends) == 1
    return takes_of(device.packets)
