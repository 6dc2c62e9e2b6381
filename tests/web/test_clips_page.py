"""The page of clips, a device's own page, and the way in, in a browser."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from browser import PHONE, DevicePage, Look, Watched
from fake_facts import Json, away, clip, device
from fake_server import FakeServer
from playwright.sync_api import Browser, Error, FilePayload, Locator, expect
from web_server import WebServer

LIT = "LEDs lit: power white, status"
WIDE = {"width": 1280, "height": 820}
BELL: FilePayload = {"name": "bell.flac", "mimeType": "audio/flac", "buffer": b"fLaC" * 1000}

# Hold a file over the page, and let it go.
DROP = """() => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File(["fLaC".repeat(1000)], "bell.flac"));
  const options = { dataTransfer, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("dragover", options));
  if (document.getElementById("drop").hidden) throw new Error("nobody says that it is welcome");
  document.body.dispatchEvent(new DragEvent("drop", options));
}"""


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the fake server is in a thread of its own."""


def titles(at: Watched) -> list[str]:
    return at.page.locator("#clips .title").all_inner_texts()


def handle(at: Watched, title: str) -> Locator:
    return at.page.locator(".clip", has_text=title).locator(".handle")


def test_clips_are_put_in_order_by_keys_and_by_pointer(
    look: Look, fake: FakeServer, screenshots: Path
) -> None:
    fake.put(*(device(f"opal-{number}", mode=2, at=1.0) for number in range(12)))
    at = look("/clips", viewport=WIDE)
    expect(at.page.locator(".clip").nth(2)).to_contain_text("plays on 12 devices")
    expect(at.page.locator(".waveform svg")).to_have_count(10)
    at.page.screenshot(path=screenshots / "clips-page.png")
    handle(at, "square").focus()
    at.page.keyboard.press("ArrowDown")
    at.page.keyboard.press("ArrowDown")
    order = ["home", "rhomboid", "triangle", "square", "circle"]
    assert titles(at) == order
    expect(at.page.locator("#moved")).to_have_text("square is mode 3 now.")
    expect(handle(at, "square")).to_be_focused()
    at.page.wait_for_function("() => document.title")  # the page's turn: its requests go out
    handle(at, "circle").drag_to(handle(at, "home"), target_position={"x": 5, "y": 2})
    assert titles(at) == ["circle", *order[:-1]]
    expect(at.page.locator(".clip").first).to_contain_text("0")
    wanted = ["circle", *order[:-1]]
    at.wait_until(lambda: [one["title"] for one in fake.clips] == wanted)


def test_a_clip_is_added_replaced_and_removed(look: Look, fake: FakeServer) -> None:
    at = look("/clips", viewport=WIDE)
    at.page.evaluate(DROP)
    expect(at.page.locator("#drop")).to_be_hidden()
    expect(at.page.locator(".clip")).to_have_count(6)
    expect(at.page.locator(".upload")).to_contain_text("was added")
    assert fake.wait_asked("POST", "/api/clips") == BELL["buffer"]
    fake.refusals["/api/clips/05-bell"] = (422, "bell.txt: is no sound that FFmpeg can read")
    bell = at.page.locator(".clip", has_text="bell")
    bell.locator("input[type=file]").set_input_files(BELL)
    said = at.page.locator(".upload.failed")
    expect(said).to_contain_text("bell.txt: is no sound that FFmpeg can read")
    said.locator("text=Dismiss").click()
    expect(said).to_have_count(0)
    at.forgive("422")
    fake.refusals.clear()
    bell.locator("text=Remove").click()
    at.page.click("dialog >> text=Cancel")
    bell.locator("text=Remove").click()
    at.page.click("dialog button.danger")
    expect(at.page.locator("#notice")).to_have_text("bell was removed.")
    expect(at.page.locator(".clip")).to_have_count(5)


def test_a_clip_is_renamed_and_downloaded(look: Look, fake: FakeServer) -> None:
    at = look("/clips", viewport=WIDE)
    square = at.page.locator(".clip", has_text="square")
    download = square.locator("text=Download")
    expect(download).to_have_attribute("href", "/api/clips/01-square/sound")
    expect(download).to_have_attribute("download", "square.opus")
    square.locator("text=Rename").click()
    at.page.keyboard.type("Front door")
    at.page.keyboard.press("Enter")
    expect(at.page.locator("#notice")).to_have_text("square is called Front door.")
    assert titles(at)[1] == "Front door"
    fake.refusals["/api/clips/01-Front%20door"] = fake.refusals["/api/clips/01-Front door"] = (
        422,
        "is no name for a file: it separates folders",
    )
    at.page.locator(".clip", has_text="Front door").locator("text=Rename").click()
    at.page.keyboard.type("a/b")
    at.page.keyboard.press("Enter")
    expect(at.page.locator("#notice")).to_contain_text("it separates folders")
    at.forgive("422")
    assert titles(at)[1] == "Front door"


def test_a_folder_that_cannot_be_changed_offers_no_change(look: Look, fake: FakeServer) -> None:
    fake.fixed_because = "the shipped clips cannot be changed"
    at = look("/clips")
    expect(at.page.locator("#count")).to_contain_text("the shipped clips cannot be changed")
    expect(at.page.locator("#add")).to_be_disabled()
    expect(at.page.locator(".clip >> text=Remove >> visible=true")).to_have_count(0)
    expect(at.page.locator(".clip >> text=Listen >> visible=true")).to_have_count(5)


def live_through(fake: FakeServer, device_id: str) -> int:
    """Let a device have done something in the last two minutes; how many events that is."""
    idle, plays, third = leds_of(0, None), leds_of(1, 0.0), leds_of(3, None)
    past: list[tuple[float, str, str, Json]] = [
        (108, "connected", "connected from 10.0.0.7:51234", {}),
        (108, "leds", "LEDs run the start-up sequence", {"leds": None}),
        (107, "leds", f"{LIT} blue", {"leds": idle}),
        (96, "press", "pressed Mode", {"button": "mode"}),
        (96, "leds", f"{LIT} blue, square amber", {"leds": leds_of(1, None)}),
        (91, "press", "pressed Play", {"button": "play"}),
        (91, "leds", f"{LIT} green, square amber", {"leds": plays}),
        (91, "take_started", "square starts", {"clip": "01-square"}),
        (80, "take_ended", "square has ended after 11.0 s", {"clip": "01-square"}),
        (80, "leds", f"{LIT} blue, square amber", {"leds": leds_of(1, None)}),
        (52, "correction", "showed other LEDs than it was sent, and is sent them again", {}),
        (33, "press", "pressed Mode", {"button": "mode"}),
        (33, "leds", f"{LIT} blue, triangle amber", {"leds": third}),
        (3, "leds", f"{LIT} green, triangle amber", {"leds": leds_of(3, 0.0)}),
        (3, "press", "pressed Play", {"button": "play"}),
    ]
    for ago, kind, text, details in past:
        fake.happen(device_id, kind, text, at=time.time() - ago, **details)
    return len(past)


def leds_of(mode: int, at: float | None) -> list[str]:
    leds: list[str] = device("any", mode=mode, at=at)["leds"]
    return leds


def test_a_device_tells_what_happened_and_can_be_pressed(
    look: Look, fake: FakeServer, screenshots: Path
) -> None:
    facts = {"name": "Greenhouse", "battery": 0.83, "corrections": 1, "since": time.time() - 108}
    fake.put(device("opal-17", mode=3, at=3.0, **facts))
    count = live_through(fake, "opal-17")
    at = look("/devices/opal-17", viewport=WIDE)
    expect(at.page.locator("h1")).to_have_text("Greenhouse")
    expect(at.page.locator("#timeline li")).to_have_count(count)
    expect(at.page.locator("#timeline li").first).to_contain_text("Pressed Play")
    fake.happen("opal-17", "take_started", "triangle starts", clip="03-triangle")
    expect(at.page.locator("#timeline li").first).to_contain_text("Triangle starts")
    expect(at.page.locator("#lanes .dot")).to_have_text(["M", "P", "M", "P"])
    expect(at.page.locator("#lanes .take .span")).to_have_text(["square", "triangle"])
    expect(at.page.locator("#doing")).to_have_text("Plays triangle · mode 3 triangle")
    expect(at.page.locator("#time")).to_have_text(re.compile(r"0:(0[5-9]|1[0-2]) / 0:12"))
    at.page.screenshot(path=screenshots / "history-page.png", full_page=True)
    at.page.click("#presses >> text=Stop")
    expect(at.page.locator("#done")).to_have_text("Stop pressed on 1 device.")
    at.page.uncheck("#filters [value=leds]")
    expect(at.page.locator("#timeline li.leds:visible")).to_have_count(0)
    at.page.click("#rename")
    at.page.keyboard.type("Shed")
    at.page.keyboard.press("Enter")
    expect(at.page.locator("h1")).to_have_text("Shed")
    fake.put(fake.devices["opal-17"] | {"connected": False, "playing": None})
    fake.happen("opal-17", "gone", "disconnected: the peer closed the connection")
    expect(at.page.locator("#state")).to_have_text("Not connected")
    expect(at.page.locator("#presses button").first).to_be_disabled()


def test_a_device_that_is_away_says_when_it_was_seen_and_is_tagged(
    look: Look, fake: FakeServer
) -> None:
    fake.put_away(away("attic", for_s=3 * 86_400, connections=4, takes=1234, tags=["east"]))
    at = look("/devices/attic", viewport=WIDE)
    facts = at.page.locator("#facts")
    for said in ("no, last seen 3 d ago", "4, 1,234", "east"):
        expect(facts).to_contain_text(said)
    expect(at.page.locator("#stop")).to_be_disabled()
    at.page.click("#add-tag")
    at.page.fill("dialog input", "lobby, west")
    at.page.keyboard.press("Enter")
    expect(facts).to_contain_text("lobby, west")
    change = {"devices": ["attic"], "add": ["lobby", "west"], "remove": ["east"]}
    assert fake.wait_asked("POST", "/api/tags") == change
    at.assert_open_to_all()
    at.page.set_viewport_size({"width": 320, "height": 640})
    at.assert_open_to_all()


def test_breaches_are_shown_with_the_command_of_the_judge(look: Look, fake: FakeServer) -> None:
    fake.put(device("opal-17"))
    fake.happen("opal-17", "refused", "refused LEDs: ok")
    at = look("/devices/opal-17")
    expect(at.page.locator("#breaches li")).to_have_text(["refused LEDs: ok"])
    expect(at.page.locator("#no-breach")).to_be_hidden()
    fake.happen("opal-17", "refused", "refused LEDs: ok")
    fake.happen("opal-17", "refused", "an event that waited for no ack")
    lines = ["refused LEDs: ok (2 times)", "an event that waited for no ack"]
    expect(at.page.locator("#breaches li")).to_have_text(lines)
    command = "audio-server judge --host 127.0.0.1 --port 50051 opal-17"
    expect(at.page.locator("#judge-command")).to_have_text(command)
    at.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    at.page.click("#copy")
    expect(at.page.locator("#copy")).to_have_text("Copied")
    assert at.evaluate("navigator.clipboard.readText()") == command
    at.assert_open_to_all()
    at.page.emulate_media(forced_colors="active")
    at.assert_open_to_all()
    at.page.set_viewport_size({"width": 320, "height": 640})
    at.assert_open_to_all()


def test_a_device_that_is_not_known_is_shown_when_it_comes(look: Look, fake: FakeServer) -> None:
    at = look("/devices/opal-17")
    expect(at.page.locator("#unknown")).to_contain_text("is known")
    fake.put(device("opal-17"))
    fake.happen("opal-17", "connected", "connected from 10.0.0.7:51234")
    expect(at.page.locator("#state")).to_have_text("Connected")
    expect(at.page.locator("#timeline li")).to_have_count(1)
    at.forgive("404")


def test_who_is_not_logged_in_logs_in_and_comes_back(
    look: Look, fake: FakeServer, screenshots: Path
) -> None:
    fake.needs_login = True
    at = look("/devices/opal-17?q=1", viewport=WIDE)
    at.page.fill("#token", "wrong")
    at.page.keyboard.press("Enter")
    expect(at.page.locator("#notice")).to_have_text("That is not the token.")
    at.assert_open_to_all()
    at.page.screenshot(path=screenshots / "login.png")
    at.page.fill("#token", "right")
    at.page.click("text=Log in")
    at.page.wait_for_url("**/devices/opal-17?q=1")
    at.page.goto(fake.url + "/clips")
    expect(at.page.locator(".clip")).to_have_count(5)
    at.page.context.clear_cookies()  # as if the login had ended
    with suppress(Error):  # the page may have found that out by itself by now
        at.page.evaluate("document.getElementById('reload').click()")
    at.page.wait_for_url("**/login?next=%2Fclips")
    at.page.fill("#token", "right")
    at.page.click("text=Log in")
    expect(at.page.locator(".clip")).to_have_count(5)
    at.page.click("#logout button")
    at.page.wait_for_url("**/login")
    at.forgive("40")  # 401 without login, 404 for a device that is not there


def test_a_logout_is_not_overtaken_by_a_request_that_is_refused(
    look: Look, fake: FakeServer
) -> None:
    fake.needs_login = True
    fake.groups = [{"name": "lobby"}]
    at = look("/clips", viewport=WIDE)
    at.page.fill("#token", "right")
    at.page.click("text=Log in")
    expect(at.page.locator("#logout")).to_be_visible()
    expect(at.page.locator(".waveform svg")).to_have_count(10)  # no request is on its way
    expect(at.page.locator("#group option")).to_have_count(2)
    at.page.context.clear_cookies()
    stay = "logout.addEventListener('submit', (event) => event.preventDefault())"
    at.page.evaluate(f"{{ const logout = document.getElementById('logout'); {stay}; }}")
    with at.page.expect_response(lambda answer: answer.status == 401):
        at.page.evaluate("document.querySelector('#logout button').click()")
        at.page.evaluate("document.getElementById('reload').click()")
    at.page.wait_for_timeout(300)  # a page that leads to the login by itself would be there
    assert at.page.url == f"{fake.url}/clips"
    at.forgive("40")


@pytest.mark.parametrize("path", ["/clips", "/devices/opal-17"])
def test_nobody_is_shut_out(look: Look, fake: FakeServer, path: str, screenshots: Path) -> None:
    fake.put(device("opal-17", mode=3, at=3.0))
    fake.happen("opal-17", "refused", "refused: an event that is no button's")
    fake.clips.append(clip(5, "announcement-of-the-last-train-to-the-harbour"))
    at = look(path, viewport=PHONE)
    expect(at.page.locator(".waveform svg, #timeline li").first).to_be_visible()
    at.save(screenshots, f"phone-{path.split('/')[1]}")
    at.assert_open_to_all()
    at.page.emulate_media(color_scheme="dark")
    at.assert_open_to_all()


@pytest.fixture
def own_server(tones: Path, tmp_path: Path) -> Iterator[WebServer]:
    """A real server whose clips may be changed."""
    clips = tmp_path / "clips"
    shutil.copytree(tones, clips)
    server = WebServer(tmp_path, clips)
    server.start()
    yield server
    server.stop()


def test_what_plays_goes_on_and_the_next_play_has_the_new_clip(
    chromium: Browser, own_server: WebServer
) -> None:
    at, kitchen = Watched(chromium), DevicePage(chromium, f"{own_server.url}/device?id=kitchen")
    at.page.goto(f"{own_server.url}/clips")
    expect(at.page.locator(".waveform svg")).to_have_count(6)
    kitchen.connect()
    kitchen.press("mode")
    kitchen.press("play")
    kitchen.wait_pitch(880)
    with at.page.expect_response("**/api/clips/order") as answer:
        handle(at, "chime").press("ArrowUp")
    assert answer.value.ok
    expect(at.page.locator(".clip").nth(1)).to_contain_text("chime")
    expect(at.page.locator(".clip", has_text="doorbell")).to_contain_text("plays on 1 device")
    kitchen.wait_pitch(880)
    kitchen.press("play")
    kitchen.wait_pitch(1320)
    at.page.locator(".clip").nth(1).locator("text=Listen").click()
    expect(at.page.locator(".sounding")).to_have_count(1)
    kitchen.close()
    at.close()


def test_recordings_are_made_clips_and_deleted(
    look: Look, fake: FakeServer, screenshots: Path
) -> None:
    at = look("/clips", viewport=WIDE)
    expect(at.page.locator("#clips .clip")).to_have_count(5)
    expect(at.page.locator("#recorded")).to_be_hidden()
    one = {"channel": "radio", "begun": time.time() - 3725, "seconds": 3725.0, "bytes": 5 << 20}
    earlier = {"begun": time.time() - 9000, "seconds": 60.0, "bytes": 84 << 10}
    fake.recordings = [
        {**one, "name": "radio-2.opus", "running": True},
        {**one, **earlier, "name": "radio-1.opus", "running": False},
    ]
    at.page.reload()
    rows = at.page.locator(".recording")
    expect(rows.nth(0)).to_contain_text("62:05 so far · 5.0 MiB")
    expect(rows.nth(0).locator("text=Delete")).to_be_disabled()
    sound = "/api/recordings/radio-1.opus/sound"
    expect(rows.nth(1).locator("a")).to_have_attribute("href", sound)
    expect(rows.nth(1).locator("audio")).to_have_attribute("src", sound)
    at.assert_open_to_all()
    rows.nth(1).scroll_into_view_if_needed()
    at.page.screenshot(path=screenshots / "recordings-page.png")
    rows.nth(1).locator("text=Make a clip").click()
    at.page.fill("dialog input", "Mass")
    at.page.click("dialog >> text=Make it")
    expect(at.page.locator("#notice")).to_have_text("Mass is a clip.")
    assert titles(at)[5:] == ["Mass"]
    path = "/api/recordings/radio-1.opus"
    assert fake.wait_asked("POST", f"{path}/clip") == {"title": "Mass"}
    rows.nth(1).locator("text=Delete").click()
    at.page.click("dialog .danger")
    expect(at.page.locator("#notice")).to_have_text("The recording was deleted.")
    expect(rows).to_have_count(1)
    fake.refusals["/api/recordings/radio-2.opus/clip"] = (413, "it is too long")
    rows.nth(0).locator("text=Make a clip").click()
    at.page.click("dialog >> text=Make it")
    expect(at.page.locator("#notice")).to_have_text("it is too long")
    at.forgive("413")
