"""The page of all devices with a hundred thousand of them on twenty nodes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from browser import Watched
from hypercorn.config import Config
from hypercorn.trio import serve
from playwright.sync_api import Browser, expect

sys.path.append(str(Path(__file__).parents[1] / "fleet"))

from node_stand import Between, NodeStand
from stub_nodes import DEVICES, NODES, StubNode

from audio_server.clips.repository import Repository
from audio_server.fleet.interface import Outcome
from audio_server.settings import Settings
from audio_server.web.access import Admitted
from audio_server.web.app import make_app
from audio_server.web.context import Context

WIDE = {"width": 1280, "height": 720}
ALL = NODES * DEVICES
NOWHERE = Path("nowhere")


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the server is another thread."""


class ManyNodes:
    """The pages of a node among twenty others; `acts` are those on all devices that match."""

    def __init__(self) -> None:
        self.url = ""
        self.acts: list[tuple[str, int]] = []
        self.sent_bytes = 0

    def run(self, ready: Callable[[], None], stop: trio.Event) -> None:
        trio.run(self._serve, ready, stop)

    async def _serve(self, ready: Callable[[], None], stop: trio.Event) -> None:
        between = Between()
        for number in range(NODES):
            StubNode(between, number)
        async with trio.open_nursery() as nursery:
            await nursery.start(NodeStand(between, "own").run)
            fleet = between.nodes["own"].fleet
            fleet.stop = self._stop
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            config = Config()
            config.bind = [f"fd://{listener.socket.detach()}"]
            config.graceful_timeout = 0.1
            clips = Repository(NOWHERE, NOWHERE, [])
            app: Any = make_app(
                Context(Settings(), 1, clips, fleet, trio.Event(), str), Admitted(loopback=True)
            )
            self._stop_at = trio.lowlevel.current_trio_token()
            ready()
            await serve(app, config, shutdown_trigger=stop.wait, mode="asgi")
            nursery.cancel_scope.cancel()

    def count(self, frame: str | bytes) -> None:
        """Count what a page has received."""
        self.sent_bytes += len(frame)

    async def _stop(self, device_ids: Any) -> dict[str, Outcome]:
        self.acts.append(("stop", ALL if device_ids is None else len(device_ids)))
        return dict.fromkeys(device_ids or map(str, range(ALL)), Outcome("done"))


@pytest.fixture(scope="module")
def many() -> Iterator[ManyNodes]:
    nodes, stop, started = ManyNodes(), trio.Event(), threading.Event()
    thread = threading.Thread(target=nodes.run, args=(started.set, stop), daemon=True)
    thread.start()
    assert started.wait(60)
    yield nodes
    nodes._stop_at.run_sync_soon(stop.set)
    thread.join(10)


@pytest.fixture
def at(chromium: Browser, many: ManyNodes) -> Iterator[Watched]:
    """The page, with all devices."""
    watched = Watched(chromium, viewport=WIDE)
    watched.page.on("websocket", lambda socket: socket.on("framereceived", many.count))
    watched.page.goto(many.url)
    expect(watched.page.locator("#count")).to_contain_text("100,000 connected")
    yield watched
    watched.close()


def scroll(at: Watched, part: float) -> None:
    """Scroll to a part of the whole list."""
    at.evaluate(f"table.scrollTop = (table.scrollHeight - table.clientHeight) * {part}")


def test_the_whole_list_is_scrolled(at: Watched, many: ManyNodes) -> None:
    rows = at.page.locator("#rows")
    expect(rows).to_contain_text("device-000000")
    height = at.evaluate("document.getElementById('rows').offsetHeight")
    assert height == ALL * 48
    expect(at.page.locator("#table")).to_have_attribute("aria-rowcount", str(ALL + 1))
    many.sent_bytes = 0
    for part, index in ((0.5, 50_000), (1, ALL - 1), (0.25, 25_000), (0, 0)):
        scroll(at, part)
        place = at.page.locator(f'#rows .row[aria-rowindex="{index + 2}"]')
        expect(place).to_be_visible()
    assert many.sent_bytes < 4 * 500_000  # of windows, not of lists
    assert at.evaluate("document.querySelectorAll('#rows .row').length") < 60
    scroll(at, 0.5)
    expect(at.page.locator('#rows .row[aria-rowindex="50003"]')).to_be_visible()
    expect(at.page.locator("#rows .c-mode").first).to_have_text("4")  # news of the window
    at.page.click("#heads >> text=Device")  # the other way round, from the beginning
    expect(at.page.locator('#rows .row[aria-rowindex="2"]')).to_contain_text("Room 99999")


def test_keys_and_searches_reach_the_whole_list(at: Watched) -> None:
    rows = at.page.locator("#rows")
    expect(rows).to_contain_text("device-000000")
    scroll(at, 0.7)
    expect(at.page.locator('#rows .row[aria-rowindex="70002"]')).to_be_visible()
    at.page.keyboard.press("/")
    at.page.keyboard.type("room 99999")
    expect(at.page.locator("#rows .row")).to_have_count(1)
    assert at.evaluate("table.scrollTop") == 0
    expect(at.page.locator("#count")).to_contain_text("1 found")
    at.page.fill("#search", "")
    expect(at.page.locator('#rows .row[aria-rowindex="3"]')).to_be_visible()
    at.page.locator("#rows .name").first.focus()
    for key, index in (("End", ALL - 1), ("PageUp", ALL - 11), ("Home", 0), ("ArrowDown", 1)):
        at.page.keyboard.press(key)
        focused = at.page.locator(f'#rows .row[aria-rowindex="{index + 2}"] .name')
        expect(focused).to_be_focused()
    at.page.keyboard.press("/")
    at.page.keyboard.type("room 99999")
    at.page.keyboard.press("Enter")  # before the servers have searched
    at.page.wait_for_url("**/devices/device-099999")
    at.forgive("404", "503")


def test_all_that_match_are_selected_and_acted_on(at: Watched, many: ManyNodes) -> None:
    expect(at.page.locator("#rows")).to_contain_text("device-000000")
    first = at.page.locator('#rows .row[aria-rowindex="2"] input')
    first.check()
    scroll(at, 0.5)
    place = at.page.locator('#rows .row[aria-rowindex="50003"] input')
    place.check()
    expect(at.page.locator("#selected")).to_have_text("2 selected")
    many.acts.clear()
    at.page.click("#stop")
    expect(at.page.locator("#done")).to_have_text("2 devices stopped.")
    at.page.click("#match")
    expect(at.page.locator("#selected")).to_have_text("100,000 selected")
    expect(place).to_be_checked()
    expect(at.page.locator("#all")).to_be_checked()
    at.page.click("#stop")
    expect(at.page.locator("#done")).to_have_text("100,000 devices stopped.")
    assert many.acts == [("stop", 2), ("stop", ALL)]
    at.page.fill("#search", "room 99999")  # those are others
    expect(at.page.locator("#selected")).to_have_text("None selected")
