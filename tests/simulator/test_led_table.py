"""The judge's table of LEDs."""

from __future__ import annotations

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.simulator.led_table import LedTable, stock_frame, visible
from audio_server.simulator.playing import Look


def test_an_announcement_is_sound_as_any_other() -> None:
    """To a device, an operator plays something; the frame is the server's own."""
    table = LedTable(stock_frame)
    for mode in range(9):
        frame = leds(State(mode, announcing=True))
        assert visible(frame) == table.shown(mode, Look.PLAYING)
        assert visible(leds(State(mode))) == table.shown(mode, Look.IDLE)


def test_a_frame_without_leds_is_no_error() -> None:
    assert visible(()) == ()
    assert visible((None, None)) == (None,)
