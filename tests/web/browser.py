"""A page in headless Chromium, as a user has it: pressed by its buttons, heard by its analyser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WITHIN_MS = 30_000
PHONE = {"width": 360, "height": 740}

# The loudest frequency (Hz) in what the page plays now; 0 where it is quiet.
PITCH = """() => {
  const analyser = device.player.analyser;
  if (!analyser || device.player.level === 0) return 0;
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  return bins.indexOf(Math.max(...bins)) * analyser.context.sampleRate / analyser.fftSize;
}"""

# How long it takes until the page is silent, and stays so, once Stop is pressed (ms).
SILENCED = """async () => {
  const pressed = performance.now();
  document.querySelector('[data-press="stop"]').click();
  let sounded = pressed;
  while (performance.now() < pressed + 600) {
    if (device.player.level > 0) sounded = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return sounded - pressed;
}"""


class Watched:
    """A page in a context of its own; `errors` is what its console has complained about."""

    def __init__(self, chromium: Browser, **options: Any) -> None:
        self.page: Page = chromium.new_context(**options).new_page()
        self.errors: list[str] = []
        self._forgiven: list[str] = []
        self.page.set_default_timeout(WITHIN_MS)
        self.page.on("console", lambda said: self._note(said.type, said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        forgiven = any(status in text for status in self._forgiven)
        if kind in ("error", "warning") and not forgiven:
            self.errors.append(text)

    def wait_until(self, true: Callable[[], object]) -> None:
        """Wait for something outside of the page; the page has its turn meanwhile."""
        for _ in range(WITHIN_MS // 50):
            if true():
                return
            self.page.wait_for_timeout(50)
        assert true()

    def forgive(self, *statuses: str) -> None:
        """The browser itself tells of answers, such as "404": by now, later, or not at all on a
        busy machine. Nothing else may have gone wrong."""
        self._forgiven += statuses
        self.errors[:] = [text for text in self.errors if not any(one in text for one in statuses)]
        assert self.errors == []

    def close(self) -> None:
        """Close it; it must have had no error. What it was opening is cut by the close."""
        errors = list(self.errors)
        self.page.context.close()
        assert not errors, errors

    def evaluate(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def save(self, folder: Path, name: str) -> None:
        """Keep a screenshot."""
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png", full_page=True)

    def assert_open_to_all(self) -> None:
        """Nothing that axe knows shuts anybody out, and nothing is wider than the window."""
        found = Axe().run(self.page).response["violations"]
        wrong = [(rule["id"], rule["nodes"][0]["html"][:200]) for rule in found]
        assert not wrong, wrong
        wide, window = self.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= window


class DevicePage(Watched):
    """`/device` in a page of its own."""

    def __init__(self, chromium: Browser, url: str, *, script: str = "", **options: Any) -> None:
        super().__init__(chromium, **options)
        if script:
            self.page.add_init_script(script)
        self.page.goto(url)

    def press(self, name: str) -> None:
        """Press a button with the mouse."""
        self.page.click(f'[data-press="{name}"]')

    def wait_state(self, words: str) -> None:
        """Wait for what the page says of its state, to the eye and to a screen reader."""
        self.page.wait_for_function(
            "words => document.getElementById('state').textContent.startsWith(words)", arg=words
        )

    def wait_clip(self, name: str) -> None:
        """Wait for the name of what plays."""
        self.page.wait_for_function(
            "name => document.getElementById('clip').textContent === name", arg=name
        )

    def connect(self) -> None:
        """Switch it on. A press ends the start-up sequence of its LEDs."""
        self.press("connect")
        connected = "/^(Connected|Idle)/.test(document.getElementById('state').textContent)"
        self.page.wait_for_function(f"() => {connected}")

    def led(self, number: int) -> tuple[str, float]:
        """Colour and intensity of a LED as it is drawn."""
        read = "(led, name) => led.style.getPropertyValue(name)"
        led = self.page.locator(f"#led-{number}")
        return led.evaluate(read, "--light"), float(led.evaluate(read, "--intensity"))

    def wait_pitch(self, hertz: float) -> None:
        """Wait until the page plays a tone of this pitch, as well as the analyser can tell."""
        near = f"({PITCH})"
        self.page.wait_for_function(f"hertz => Math.abs({near}() - hertz) < 24", arg=hertz)

    def ms_to_silence(self) -> float:
        """Press Stop while it plays; how long sound goes on."""
        return float(self.page.evaluate(SILENCED))


MakePage = Callable[..., DevicePage]
Look = Callable[..., Watched]
