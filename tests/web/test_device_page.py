"""The device in the browser, in a browser: seen, pressed, and heard."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest
from browser import PHONE, DevicePage, MakePage
from playwright.sync_api import expect
from web_server import WebServer

from audio_server.wire.audio import SILENCE

NO_DECODER = "delete globalThis.AudioDecoder"
NO_OPUS = "AudioDecoder.isConfigSupported = async () => ({ supported: false })"
AMBER, DARK = ("#ffb000", 1.0), ("#000000", 0.0)


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the server is another process."""


def test_mode_is_seen_on_the_leds(make_page: MakePage, screenshots: Path) -> None:
    page = make_page()
    page.save(screenshots, "device-off")
    page.connect()
    page.wait_state("Idle. Mode 0")
    assert page.led(0) == ("#ffffff", 1.0)
    assert [page.led(number) for number in range(2, 6)] == [DARK] * 4
    page.press("mode")
    page.wait_state("Idle. Mode 1, square (doorbell).")
    assert [page.led(number) for number in range(2, 6)] == [AMBER, DARK, DARK, DARK]
    page.press("stop")
    page.wait_state("Idle. Mode 0, home")


def test_play_is_heard_and_stop_silences_at_once(make_page: MakePage, screenshots: Path) -> None:
    page = make_page(query="?id=kitchen")
    page.connect()
    page.press("mode")
    page.press("play")
    page.wait_pitch(880)
    page.wait_state("Playing. Mode 1")
    page.page.wait_for_function("() => device.player.position > 1")
    page.wait_clip("doorbell")
    expect(page.page.locator("#time")).to_have_text(re.compile(r"0:0[1-5] / 0:08"))
    page.save(screenshots, "device-page")
    assert page.ms_to_silence() < 200
    page.wait_state("Idle. Mode 0")


def test_play_over_play_changes_the_tone(make_page: MakePage) -> None:
    page = make_page()
    page.connect()
    page.press("mode")
    page.press("play")
    page.wait_pitch(880)
    page.press("mode")
    page.press("play")
    page.wait_pitch(1320)
    page.wait_clip("chime")


@pytest.mark.parametrize("script", [NO_DECODER, NO_OPUS])
def test_a_page_that_cannot_decode_hears_the_same(make_page: MakePage, script: str) -> None:
    page = make_page(script=script)
    page.evaluate("""() => {
      const accept = device.player.accept.bind(device.player);
      device.player.accept = (packet) => { device.allPcm = packet.pcm !== null; accept(packet); };
    }""")
    page.connect()
    page.press("mode")
    page.press("play")
    page.wait_pitch(880)
    assert page.evaluate("device.allPcm")
    assert page.ms_to_silence() < 200


def test_two_pages_are_two_devices(make_page: MakePage) -> None:
    one, two = make_page(), make_page()
    one.connect()
    two.connect()
    one.press("mode")
    one.press("play")
    one.wait_pitch(880)
    two.press("play")
    two.wait_pitch(440)
    one.wait_pitch(880)
    two.wait_state("Idle. Mode 0")


def test_a_device_opened_twice_is_on_the_newer_page(make_page: MakePage) -> None:
    old = make_page(query="?id=same")
    old.connect()
    new = make_page(query="?id=same")
    new.connect()
    old.wait_state("This device was opened in another page.")
    new.press("mode")
    new.wait_state("Idle. Mode 1")


def test_keys_are_buttons(make_page: MakePage) -> None:
    page = make_page()
    for key in "cm":
        page.page.keyboard.press(key)
    page.wait_state("Idle. Mode 1")
    page.page.keyboard.press("Space")
    page.wait_pitch(880)
    page.page.keyboard.press("s")
    page.wait_state("Idle. Mode 0")


def test_a_recording_is_bit_for_bit_what_was_sent(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page()
    page.connect()
    page.page.click("#record")
    page.press("play")
    page.wait_state("Playing")
    page.wait_state("Idle")
    page.page.click("#record")
    with page.page.expect_download() as download:
        page.page.click("#recording")
    kept = tmp_path / "kept.opus"
    download.value.save_as(kept)
    assert packets_of(kept) == sent_packets(page)
    assert len(packets_of(kept)) == 31  # 0.6 s, and what libopus holds back
    assert SILENCE not in packets_of(kept)


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def sent_packets(page: DevicePage) -> list[bytes]:
    """What a second listening to the same clip gets, packet by packet."""
    page.evaluate("""() => {
      globalThis.heard = [];
      const accept = device.player.accept.bind(device.player);
      device.player.accept = (packet) => { heard.push([...packet.opus]); accept(packet); };
    }""")
    page.press("play")
    page.wait_state("Playing")
    page.wait_state("Idle")
    return [bytes(packet) for packet in page.evaluate("heard")]


def test_it_comes_back_with_the_server(make_page: MakePage, web_server: WebServer) -> None:
    page = make_page()
    page.connect()
    page.press("mode")
    page.wait_state("Idle. Mode 1")
    page.press("play")
    page.wait_pitch(880)
    web_server.stop()
    page.wait_state("The server is away")
    assert page.evaluate("device.player.ahead") == 0
    web_server.start()
    page.wait_state("Idle. Mode 1")  # the mode survives, and nothing plays that nobody asked for
    page.press("play")
    page.wait_pitch(880)
    assert all("ERR_CONNECTION_REFUSED" in error for error in page.errors)
    page.errors.clear()  # the browser itself says that nobody answered


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(make_page: MakePage, scheme: str, screenshots: Path) -> None:
    page = make_page(color_scheme=scheme, viewport=PHONE)
    page.connect()
    page.save(screenshots, f"device-phone-{scheme}")
    page.assert_open_to_all()
