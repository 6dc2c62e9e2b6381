"""The microphone of the pages in Chromium, whose fake one plays a tone, heard on a device."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import FLAGS, WITHIN_MS, DevicePage, Watched
from fake_facts import device
from fake_server import FakeServer
from playwright.sync_api import Browser, expect, sync_playwright
from test_fleet_page import context
from tone_files import write_tone
from web_server import WebServer

HERTZ = 660
SPOKEN_MS = 1500
WIDE = {"width": 1280, "height": 720}
NARROW = {"width": 320, "height": 640}

NO_ENCODER = "delete window.AudioEncoder"
INSECURE = "Object.defineProperty(window, 'isSecureContext', { value: false })"
NOT_ALLOWED = """navigator.mediaDevices.getUserMedia =
  () => Promise.reject(new DOMException("", "NotAllowedError"))"""


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the servers are in other processes and threads."""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium with a microphone that hears a tone."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    tone = tmp_path_factory.mktemp("microphone") / "tone.wav"
    write_tone(tone, HERTZ, 4.0)
    fake = (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tone}",
    )
    expect.set_options(timeout=2 * WITHIN_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=(*FLAGS, *fake))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def web_server(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    flags = ("--live", "radio", "--live-patience-s", "1")
    server = WebServer(tmp_path_factory.mktemp("server"), tones, *flags)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pages() -> Iterator[list[Watched]]:
    """Pages to be closed; none may have had an error."""
    pages: list[Watched] = []
    yield pages
    for page in pages:
        page.close()


def hall(chromium: Browser, server: WebServer, pages: list[Watched]) -> DevicePage:
    """A device that listens."""
    page = DevicePage(chromium, f"{server.url}/device?id=hall")
    pages.append(page)
    page.connect()
    return page


def desk(
    chromium: Browser,
    server: WebServer | FakeServer,
    pages: list[Watched],
    script: str = "",
    **options: object,
) -> Watched:
    """The page of all devices, with the dialog open for the first one."""
    at = Watched(chromium, **{"viewport": WIDE, **options})
    pages.append(at)
    if script:
        at.page.add_init_script(script)
    at.page.goto(server.url)
    at.page.locator("#rows .row input").first.click()
    at.page.click("#speak")
    expect(at.page.locator("dialog h2")).to_have_text("Speak to 1 device")
    return at


def speak(at: Watched, button: str) -> None:
    """Press the button of the dialog, and wait until the microphone is heard."""
    at.page.click(f"dialog button.primary:text-is('{button}')")
    at.page.wait_for_function("() => document.querySelector('dialog meter').value > 0.3")


@pytest.mark.parametrize("script", ["", NO_ENCODER], ids=["WebCodecs", "MediaRecorder"])
def test_a_recording_is_announced(
    script: str, chromium: Browser, web_server: WebServer, pages: list[Watched]
) -> None:
    device = hall(chromium, web_server, pages)
    at = desk(chromium, web_server, pages, script)
    speak(at, "Record")
    expect(at.page.locator("dialog [role=status]")).to_have_text("Recording.")
    at.page.wait_for_timeout(SPOKEN_MS)
    at.page.click("dialog button.primary")
    device.wait_pitch(HERTZ)
    expect(at.page.locator("dialog")).to_have_count(0)
    expect(at.page.locator("#done")).to_have_text("microphone was heard on 1 device.")


def test_a_live_channel_is_spoken_to(
    chromium: Browser, web_server: WebServer, pages: list[Watched]
) -> None:
    device = hall(chromium, web_server, pages)
    at = desk(chromium, web_server, pages)
    at.page.select_option("dialog select", label="Live on radio")
    speak(at, "Go live")
    status = at.page.locator("dialog [role=status]")
    expect(status).to_have_text("On the air: radio plays on 1 device.")
    device.wait_pitch(HERTZ)
    expect(at.page.locator("#rows .row")).to_contain_text("radio")
    second = desk(chromium, web_server, pages)
    second.page.select_option("dialog select", label="Live on radio (on air)")
    second.page.click("dialog button.primary")
    busy = "Sound is sent to the channel already."
    expect(second.page.locator("dialog [role=status]")).to_have_text(busy)
    at.page.click("dialog button.primary")
    expect(at.page.locator("dialog")).to_have_count(0)
    device.wait_state("Idle")


def test_a_cancel_gives_the_microphone_back(
    chromium: Browser, web_server: WebServer, pages: list[Watched]
) -> None:
    hall(chromium, web_server, pages)
    note = (
        "const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (all) => (window.heard = await get(all))"
    )
    at = desk(chromium, web_server, pages, note)
    speak(at, "Record")
    at.page.keyboard.press("Escape")
    expect(at.page.locator("dialog")).to_have_count(0)
    ended = "() => window.heard.getTracks().every((track) => track.readyState === 'ended')"
    at.page.wait_for_function(ended)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (INSECURE, "over HTTPS or of this computer (localhost) only"),
        (NOT_ALLOWED, "The microphone is not allowed to this page"),
    ],
)
def test_a_page_says_why_it_has_no_microphone(
    script: str, words: str, chromium: Browser, fake: FakeServer, pages: list[Watched]
) -> None:
    fake.reset()
    fake.put(device("opal-17", mode=3))
    at = desk(chromium, fake, pages, script)
    if script is INSECURE:
        expect(at.page.locator("dialog button.primary")).to_be_disabled()
    else:
        at.page.click("dialog button.primary")
    expect(at.page.locator("dialog [role=status]")).to_contain_text(words)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("page", {}),
        ("narrow", {"viewport": NARROW}),
        ("forced", {"forced_colors": "active"}),
        ("dark", {"color_scheme": "dark"}),
    ],
)
def test_the_dialog_is_open_to_all(
    name: str,
    options: dict[str, object],
    chromium: Browser,
    fake: FakeServer,
    pages: list[Watched],
    screenshots: Path,
) -> None:
    fake.reset()
    fake.put(*context())
    fake.channels = [{"name": "radio", "mode": 5, "sending": False}]
    at = desk(chromium, fake, pages, **options)
    speak(at, "Record")
    at.page.wait_for_function("() => document.querySelector('dialog .time').textContent === '0:01'")
    at.page.screenshot(path=screenshots / f"speak-{name}.png")
    at.assert_open_to_all()
    box = at.page.locator("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    if name == "forced":
        line = "(one) => getComputedStyle(one).borderTopWidth"
        assert at.page.locator("dialog meter").evaluate(line) == "1px"


def test_the_page_of_a_device_has_it_too(
    chromium: Browser, fake: FakeServer, pages: list[Watched]
) -> None:
    fake.reset()
    fake.put(device("opal-17", mode=3))
    at = Watched(chromium)
    pages.append(at)
    at.page.goto(f"{fake.url}/devices/opal-17")
    at.page.click("#speak")
    speak(at, "Record")
    at.page.click("dialog >> text=Cancel")
    expect(at.page.locator("dialog")).to_have_count(0)
