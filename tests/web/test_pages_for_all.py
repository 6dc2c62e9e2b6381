"""Pages for those who see little, or nothing: small screens, large text, the system's colours,
and LEDs in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Look, MakePage, Watched
from fake_facts import AMBER, device
from fake_server import FakeServer
from playwright.sync_api import expect
from test_clips_page import live_through
from test_fleet_page import context, row

NARROW = {"width": 320, "height": 640}
HALF = {"width": 640, "height": 800}
PAGES = ("/", "/devices/opal-17", "/devices/nobody", "/clips", "/device", "/login?wrong=1")

# What is wider than the window, if the page can be scrolled sideways.
TOO_WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => `${one.tagName} ${one.id} ${one.className}`)
    .concat("the page")"""

LARGE = "document.documentElement.style.fontSize = '200%'"


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the fake server is in a thread of its own."""


def opened(look: Look, fake: FakeServer, path: str, **options: object) -> Watched:
    """A page with all that it may show."""
    fake.needs_login = path.startswith("/login")
    facts = {"name": "Greenhouse behind the stable", "battery": 0.8, "last_error": "torn"}
    fake.put(*context(), device("opal-17", mode=3, at=3.0, **facts))
    if not fake.events:
        live_through(fake, "opal-17")
    return look(path, **options)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("size", ["narrow", "large", "narrow and large"])
def test_no_page_is_scrolled_sideways(
    path: str, size: str, look: Look, fake: FakeServer, screenshots: Path
) -> None:
    at = opened(look, fake, path, viewport=HALF if size == "large" else NARROW)
    if "large" in size:
        at.evaluate(LARGE)
    if path == "/":
        at.page.locator("#rows .row input").first.click()
        expect(at.page.locator("#bar")).to_be_visible()
    if path == "/devices/opal-17":
        expect(at.page.locator("#timeline li").first).to_be_visible()
    at.page.wait_for_timeout(100)
    at.save(screenshots, f"{size}-{path.strip('/').replace('/', '-').partition('?')[0]}")
    assert at.evaluate(TOO_WIDE) == []
    at.forgive("403", "404")  # the fake server has no device for a browser, and none "nobody"


def test_a_dialog_fits_a_small_screen(look: Look, fake: FakeServer) -> None:
    at = opened(look, fake, "/", viewport=NARROW)
    at.page.click("#play-all")
    expect(at.page.locator("dialog")).to_be_visible()
    assert at.evaluate(TOO_WIDE) == []
    box = at.page.locator("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW["width"]


# The colour that is painted behind an element, as 0xRRGGBB.
PAINTED = """(one) => {
  const [red, green, blue] = getComputedStyle(one).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (red << 16) | (green << 8) | blue;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_leave_leds_and_bars(
    scheme: str, look: Look, fake: FakeServer, screenshots: Path
) -> None:
    forced = {"forced_colors": "active", "color_scheme": scheme}
    at = opened(look, fake, "/", viewport={"width": 1280, "height": 720}, **forced)
    hall = row(at, "Hall")
    hall.locator("input").click()
    assert hall.locator(".lamp.triangle").evaluate(PAINTED) == int(AMBER[1:7], 16)
    lit, dark = (hall.locator(f".lamp.{shape}").evaluate(PAINTED) for shape in ("status", "circle"))
    assert lit != dark
    assert hall.evaluate("(one) => getComputedStyle(one).outlineStyle") == "solid"
    assert_seen(at, ".row.playing .progress", ".row.playing .progress span")
    at.page.screenshot(path=screenshots / f"fleet-forced-{scheme}.png")
    at = opened(look, fake, "/devices/opal-17", **forced)
    lamp = at.page.locator("#leds .lamp.triangle")
    at.wait_until(lambda: lamp.evaluate(PAINTED) == int(AMBER[1:7], 16))  # dark until it is told
    assert_seen(at, ".now .progress", ".now .progress span")
    for name in ("dot", "take .span"):
        canvas = at.page.locator("body").evaluate(PAINTED)
        assert at.page.locator(f"#lanes .{name}").first.evaluate(PAINTED) != canvas
    at.save(screenshots, f"one-forced-{scheme}")
    at = opened(look, fake, "/clips", **forced)
    assert (
        at.page.locator(".mode.square").evaluate(
            "(one) => getComputedStyle(one, '::before').backgroundColor"
        )
        == "rgb(255, 176, 0)"
    )
    at.save(screenshots, f"clips-forced-{scheme}")


def assert_seen(at: Watched, box: str, bar: str) -> None:
    """The box has a line around it, and the bar another colour than the page."""
    line = "(one) => getComputedStyle(one).borderTopWidth"
    assert at.page.locator(box).first.evaluate(line) == "1px"
    page = at.page.locator("body").evaluate(PAINTED)
    assert at.page.locator(bar).first.evaluate(PAINTED) != page


def test_forced_colours_leave_what_a_device_shows(make_page: MakePage, screenshots: Path) -> None:
    page = make_page(forced_colors="active")
    page.connect()
    page.press("mode")
    page.wait_state("Idle. Mode 1")
    fill = "(one) => getComputedStyle(one).fill"
    lit, dark = (page.page.locator(f"#led-{number}").evaluate(fill) for number in (2, 3))
    assert lit != dark
    page.press("play")
    page.wait_pitch(880)
    line = "(one) => getComputedStyle(one).borderTopWidth"
    assert page.page.locator("#position").evaluate(line) == "1px"
    page.save(screenshots, "device-forced")


def test_leds_have_words_for_shape_and_colour(make_page: MakePage) -> None:
    page = make_page()
    leds = page.page.locator("#leds-title")
    expect(leds).to_have_text("LEDs lit: power white")
    page.connect()
    page.wait_state("Idle. Mode 0")
    expect(leds).to_have_text("LEDs lit: power white, status blue")
    page.press("mode")
    expect(leds).to_have_text("LEDs lit: power white, status blue, square amber")
    page.press("play")
    expect(leds).to_have_text("LEDs lit: power white, status green, square amber")


def test_pages_and_events_name_colours_alike(look: Look, fake: FakeServer) -> None:
    from audio_server.fleet.led_text import colour_name

    at = look("/")
    rgb = [0x111111 * shade for shade in range(1, 16)] + [0x10203 * step for step in range(80)]
    names = at.page.evaluate(
        "async (rgb) => (await import('/static/colours.js')).LED_NAMES &&"
        " rgb.map((await import('/static/colours.js')).colourName)",
        rgb,
    )
    assert names == [colour_name(one) for one in rgb]
