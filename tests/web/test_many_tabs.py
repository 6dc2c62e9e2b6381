"""Many tabs of one browser: it has six connections to a server, for all of them together."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from browser import DevicePage
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect
from web_server import WebServer

TABS = 12
SOON_S = 5.0
"""Far below the time for which a request waits that finds no connection."""

PATHS = ("/", "/devices/kitchen", "/clips", "/device?id=tab-{number}")

SIXTY_FOUR = """async () => {
  const address = location.origin.replace("http", "ws") + "/api/events";
  globalThis.kept = Array.from({ length: 64 }, () => new WebSocket(address));
  await Promise.all(kept.map((one) => new Promise((heard) => { one.onmessage = heard; })));
}"""
STOP = """fetch("/api/stop", {
  method: "POST", body: '{"devices": "all"}', headers: { "content-type": "application/json" },
}).then((answer) => answer.status)"""


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one."""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """One that is closed after a failure too: its tabs would use up the next test's places."""
    context = chromium.new_context()
    yield context
    context.close()


def open_tabs(context: BrowserContext, url: str) -> list[Page]:
    pages = []
    for number in range(TABS):
        page = context.new_page()
        page.set_default_timeout(8000)
        page.goto(url + PATHS[number % len(PATHS)].format(number=number))
        pages.append(page)
    return pages


def row(page: Page) -> Locator:
    """Of the kitchen, on the page of all devices."""
    return page.locator("#rows .row", has_text="kitchen")


def test_twelve_tabs_are_alive_and_a_stop_in_the_first_gets_through(
    chromium: Browser, context: BrowserContext, web_server: WebServer
) -> None:
    tabs = open_tabs(context, web_server.url)
    kitchen = DevicePage(chromium, f"{web_server.url}/device?id=kitchen")
    kitchen.connect()
    kitchen.press("mode")
    fleets, devices = tabs[0 :: len(PATHS)], tabs[1 :: len(PATHS)]
    for page in fleets:
        expect(row(page)).to_contain_text("1 doorbell")
    for page in devices:
        expect(page.locator("#doing")).to_contain_text("1 doorbell")
    for page in tabs[2 :: len(PATHS)]:
        expect(page.locator("#clips > *")).to_have_count(3)
    for page in tabs[3 :: len(PATHS)]:
        page.click('[data-press="connect"]')
        expect(page.locator("#state")).to_contain_text("Idle")
    kitchen.press("play")
    kitchen.wait_pitch(880)
    for page in (*fleets, *devices):
        expect(page.locator("body")).to_contain_text("/ 0:08")
    start = time.monotonic()
    devices[0].click("#stop")
    kitchen.wait_state("Idle. Mode 1")
    assert time.monotonic() - start < SOON_S
    kitchen.close()


def test_more_tabs_than_may_watch_are_told_why(
    context: BrowserContext, web_server: WebServer
) -> None:
    first, page = context.new_page(), context.new_page()
    first.goto(f"{web_server.url}/login")
    first.evaluate(SIXTY_FOUR)
    page.goto(web_server.url)
    expect(page.locator("#notice")).to_contain_text("64 at most")
    assert page.evaluate(STOP) == 200
    first.close()
    expect(page.locator("#notice")).to_be_empty(timeout=15_000)


def test_loads_that_take_long_leave_connections_to_a_stop(
    context: BrowserContext, web_server: WebServer
) -> None:
    """Eight pages of clips whose waveforms the server is slow to draw."""
    held: list[Route] = []
    context.route("**/waveform?*", lambda route: held.append(route))
    pages = [context.new_page() for _ in range(8)]
    for page in pages:
        page.goto(f"{web_server.url}/clips")
        expect(page.locator("#clips > *")).to_have_count(3)
    pages[0].wait_for_timeout(300)
    assert 1 <= len(held) <= 2
    assert pages[0].evaluate(STOP) == 200


def test_a_proxy_that_lets_no_websocket_through_is_named(
    context: BrowserContext, web_server: WebServer
) -> None:
    page = context.new_page()
    page.route_web_socket("**/api/**", lambda socket: socket.close())
    page.goto(web_server.url)
    expect(page.locator("#notice")).to_contain_text("a proxy must pass Upgrade", timeout=15_000)
