"""One server for all tests, as its users run it; each test has devices of its own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from house import DENSE, HOME, LONG, SHORT, SINGLE, TONE, MadeClips, MakeDevice
from server_process import ServerProcess
from sound_files import write_noise, write_tone
from stock_device import StockDevice
from stock_session import Options


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> MadeClips:
    """Six clips; `house` names their modes."""
    folder = tmp_path_factory.mktemp("clips")
    write_tone(folder / f"{TONE}-tone.wav", 0.6)
    return MadeClips(
        folder,
        tmp_path_factory.mktemp("cache"),
        home=write_noise(folder / f"{HOME}-home.opus", 60),
        short=write_noise(folder / f"{SHORT}-short.opus", 20),
        single=write_noise(folder / f"{SINGLE}-single.opus", 1),
        long=write_noise(folder / f"{LONG}-long.opus", 1000),
        dense=write_noise(folder / f"{DENSE}-dense.opus", 1000, bit_rate_bps=256_000),
    )


@pytest.fixture(scope="session")
def running_server(clips: MadeClips) -> Iterator[ServerProcess]:
    """The server; it must end well, too."""
    server = ServerProcess(clips.folder, clips.cache)
    yield server
    assert server.stop() == 0


@pytest.fixture
def server(running_server: ServerProcess) -> Iterator[ServerProcess]:
    """The server; nothing that a device does may make it log a fault of its own."""
    yield running_server
    assert running_server.errors() == []


_numbers = count(1)


@pytest.fixture
def make_device(server: ServerProcess) -> Iterator[MakeDevice]:
    """Makes devices that are off, and that the server does not know unless they have the id of
    another one; they are switched off in the end."""
    devices: list[StockDevice] = []

    def make(device_id: str = "", *, options: Options = ()) -> StockDevice:
        name = device_id or f"device-{next(_numbers)}"
        devices.append(StockDevice(server.target, name, options=options))
        return devices[-1]

    yield make
    for device in devices:
        device.switch_off()


@pytest.fixture
def device(make_device: MakeDevice) -> StockDevice:
    """A device that is on."""
    device = make_device()
    device.switch_on()
    return device
