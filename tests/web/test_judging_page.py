"""The judge on the page of a device: its steps, its findings, and its ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Look
from fake_facts import device
from fake_server import FakeServer
from playwright.sync_api import expect

from audio_server.judge.duties import Duty

NARROW = {"width": 320, "height": 640}
PRESS = "buttons: press Mode, Play and Stop quickly, within 30 s"
SEEN = 'answered a set with status: "ok"'


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the fake server is in a thread of its own."""


def findings(left: str | None = None) -> tuple[str, dict[str, Any]]:
    verdicts = {Duty.SET: ("broken", [SEEN]), Duty.BATTERY: ("not seen", [])}
    duties = []
    for duty in Duty:
        verdict, seen = verdicts.get(duty, ("kept", []))
        duties.append(
            {"duty": duty.name.lower(), "text": duty.value, "verdict": verdict, "seen": seen}
        )
    return "findings", {"device": "opal-17", "duties": duties, "left": left}


def test_a_device_is_judged(look: Look, fake: FakeServer, screenshots: Path) -> None:
    fake.put(device("opal-17"))
    fake.judged = [("step", {"text": PRESS}), findings()]
    at = look("/devices/opal-17")
    step, rows = at.page.locator("#judge-step"), at.page.locator("#verdicts tr")
    expect(at.page.locator("#findings")).to_be_hidden()
    at.page.click("#judge")
    expect(step).to_have_text(PRESS.replace("buttons", "Buttons"))
    expect(at.page.locator("#judge")).to_have_text("End the trial")
    assert fake.wait_asked("POST", "/api/devices/opal-17/judge") == {"press_s": 30}
    fake.end_trial()
    expect(step).to_have_text("Judged: 16 kept, 1 broken, 1 not seen.")
    expect(rows).to_have_count(len(Duty))
    expect(at.page.locator("#verdicts .broken")).to_have_text("✗ broken")
    expect(rows.filter(has_text="answers each set").locator("li")).to_have_text([SEEN])
    expect(at.page.locator("#judge")).to_have_text("Judge")
    at.save(screenshots, "judged-page")
    at.assert_open_to_all()
    at.page.emulate_media(forced_colors="active")
    at.assert_open_to_all()
    at.page.set_viewport_size(NARROW)
    at.save(screenshots, "judged-page-narrow")
    at.assert_open_to_all()


def test_a_trial_is_ended(look: Look, fake: FakeServer) -> None:
    fake.put(device("opal-17"))
    fake.judged = [("step", {"text": PRESS}), findings()]
    at = look("/devices/opal-17")
    at.page.uncheck("#judge-presses")
    at.page.click("#judge")
    expect(at.page.locator("#judge-step")).to_contain_text("Buttons")
    assert fake.wait_asked("POST", "/api/devices/opal-17/judge") == {"press_s": 0}
    at.page.click("#judge")
    expect(at.page.locator("#judge-step")).to_have_text("The trial was ended.")
    expect(at.page.locator("#judge")).to_have_text("Judge")
    fake.end_trial()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (findings("the device left (sound)"), "The device left (sound): the rest was not seen."),
        (("failed", {"reason": "the server is stopping"}), "The server is stopping"),
        (("step", {"text": PRESS}), "The trial ended without findings. Try again."),
    ],
)
def test_a_trial_without_an_end_says_so(
    look: Look, fake: FakeServer, told: Any, words: str
) -> None:
    fake.put(device("opal-17"))
    fake.judged = [told]
    at = look("/devices/opal-17")
    at.page.click("#judge")
    fake.end_trial()
    expect(at.page.locator("#judge-step")).to_have_text(words)


def test_a_refusal_is_shown(look: Look, fake: FakeServer) -> None:
    fake.put(device("opal-17"))
    fake.refusals["/api/devices/opal-17/judge"] = (409, "it plays; stop it first")
    at = look("/devices/opal-17")
    at.page.click("#judge")
    expect(at.page.locator("#judge-step")).to_have_text("it plays; stop it first")
    at.forgive("409", "404")
    fake.drop("opal-17")
    expect(at.page.locator("#judge")).to_be_disabled()
