"""A device in your hand: keys in, the screen out, until you let go of it."""

from __future__ import annotations

import sys

import trio
from rich.console import Console
from rich.live import Live

from audio_server.process.output import make_console
from audio_server.process.terminal import cancel_on_signal, keyboard, next_keys, single_keys
from audio_server.simulator.buttons import Button
from audio_server.simulator.connect import connecting
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.judge import Judge
from audio_server.simulator.options import Options
from audio_server.simulator.outputs import open_outputs
from audio_server.simulator.report import Report
from audio_server.simulator.screen import Screen
from audio_server.simulator.scripted import tick
from audio_server.simulator.widgets import Widgets

FRAME_S = 0.05
QUIT = "qQ\x04"
BUTTON_KEYS = {
    **dict.fromkeys("c1", Button.CONNECT),
    **dict.fromkeys("m2", Button.MODE),
    **dict.fromkeys("s3", Button.STOP),
    **dict.fromkeys("p4 ", Button.PLAY),
}


def act_on(device: VirtualDevice, key: str) -> bool:
    """Act on a key; return False for the key that quits. An unknown key does nothing.

    Connect on a device that is off switches it on, as a user would expect.
    """
    if key in QUIT:
        return False
    button = BUTTON_KEYS.get(key.lower())
    if key in "oO" and device.is_on:
        device.switch_off()
    elif key in "oO" or (button is Button.CONNECT and not device.is_on):
        device.switch_on()
    elif button is not None:
        device.press(button)
    return True


async def interact(options: Options, keyboard: int, console: Console) -> list[str]:
    """Show a device and obey the keys of the terminal `keyboard` until one quits.

    Returns the line to print afterwards. Raises as `open_outputs` does.
    """
    began_s = trio.current_time()
    device = VirtualDevice(
        options.device_id,
        connecting(options),
        whole_takes=options.whole_takes,
        token=options.token,
    )
    oracle = Judge(options.limits, told=options.told, modes=options.modes, others=True)
    report = Report(device.device_id, began_s)
    face = Widgets(device, options.address, oracle)
    device.observers += [oracle.feed, report, face]
    async with open_outputs(device, options, face.say), trio.open_nursery() as nursery:
        await nursery.start(device.run)
        nursery.start_soon(tick, oracle)
        nursery.start_soon(_show, face, console, began_s)
        device.switch_on()
        with trio.CancelScope() as obeying:
            nursery.start_soon(cancel_on_signal, obeying)
            while keys := await next_keys(keyboard):
                if not all(act_on(device, key) for key in keys):
                    break
        device.switch_off()
        await device.wait_off()
        nursery.cancel_scope.cancel()
    return list(report.lines(oracle.violations, oracle.notes, takes=False))


async def _show(face: Widgets, console: Console, began_s: float) -> None:
    def screen() -> Screen:
        face.tell_violations()
        return Screen(face, trio.current_time(), began_s)

    with Live(
        screen(),
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        while True:
            await trio.sleep(FRAME_S)
            live.update(screen(), refresh=True)


def run_interactive(options: Options) -> list[str]:
    """`interact` on this process's terminal. Raises `OSError` where there is none."""
    with keyboard() as keys, single_keys(keys):
        console = make_console(stderr=options.pcm == "-" or not sys.stdout.isatty())
        return trio.run(interact, options, keys, console)
