"""A device on grpcio that is connected to a running server is judged by it, and found right."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

from house import LONG, MadeClips, MakeDevice, play, select, wait_shown, wait_takes
from server_process import ServerProcess
from stock_device import StockDevice

from audio_server.judge.duties import Duty
from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call, CallLost, Event

TOGETHER_S = 0.3
"""Calls of a connection that ends are lost within this."""

PATIENCE_S = 1.2


@contextmanager
def coming_back(device: StockDevice) -> Iterator[None]:
    """The device opens calls again that end alone, and connects again when all end."""
    lost: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def note(_: float, event: Event) -> None:
        if isinstance(event, CallLost):
            lost.put(True)

    def keep() -> None:
        while lost.get():
            time.sleep(TOGETHER_S)
            calls = [call for call in Call if call in device.ended]
            if len(calls) == len(Call):
                time.sleep(PATIENCE_S)
                device.switch_off()
                device.switch_on()
            else:
                for call in calls:
                    device.online.open(call)

    keeper = threading.Thread(target=keep, daemon=True)
    device.observers.append(note)
    keeper.start()
    try:
        yield
    finally:
        lost.put(False)
        keeper.join(10)
        assert not keeper.is_alive()


def test_a_stock_device_is_found_right(
    server: ServerProcess, make_device: MakeDevice, clips: MadeClips, tmp_path: Path
) -> None:
    device, other, report = make_device(), make_device(), tmp_path / "report.xml"
    device.switch_on()
    other.switch_on()
    device.press(Button.MODE, Button.MODE)
    wait_shown(device, 2)
    select(other, LONG)
    play(other)
    pages = server.wait_logged("pages")["url"]
    flags = ["--url", pages, "--press-s", "10", "--junit", str(report)]
    command = [sys.executable, "-m", "audio_server", "judge", *flags, "--devices", device.id]
    said: list[str] = []
    with coming_back(device):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as judge:
            assert judge.stdout is not None
            for line in judge.stdout:
                said.append(line)
                if "press Mode, Play and Stop" in line:
                    device.press(Button.MODE, Button.PLAY, Button.STOP)
        wait_shown(device, 2)
    assert judge.returncode == 0, said
    (suite,) = ElementTree.parse(report).getroot()
    assert (suite.get("name"), suite.get("tests")) == (device.id, str(len(Duty)))
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == [
        Duty.BATTERY.value
    ]
    assert device.ended == other.ended == {}
    assert wait_takes(other, 1)[-1].is_whole(clips.long)
