"""The face of a device as rich draws it: LEDs, connection, sound, a log and the keys."""

from __future__ import annotations

from rich.align import Align
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from audio_server.process.output import make_console
from audio_server.simulator.device import Link
from audio_server.simulator.widgets import Line, Widgets

LEDS = (
    ("power", "●", "○"),
    ("status", "●", "○"),
    ("square", "■", "□"),
    ("rhomboid", "◆", "◇"),
    ("triangle", "▲", "△"),
    ("circle", "●", "○"),
)
"""Name of each LED, and how it is drawn lit and dark."""

KEYS = " c Connect   m Mode   p Play   s Stop   o on/off   q quit "

_LINKS = {
    Link.OFF: "off",
    Link.CONNECTING: "connecting to",
    Link.ONLINE: "connected to",
    Link.WAITING: "looking for",
}
_LINK_STYLES = {Link.ONLINE: "bold green", Link.OFF: "dim"}
_LEVEL_CELLS = 48
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_FIXED_LINES = 13
_CASE = 24


class Screen:
    """A renderable: the face as it is at `at_s`. `began_s` is where the log's times begin."""

    def __init__(self, face: Widgets, at_s: float, began_s: float) -> None:
        self._face = face
        self._at_s = at_s
        self._began_s = began_s

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        body = Group(
            self._connection(),
            Text(),
            self._leds(),
            Text(),
            self._sound(),
            self._level(),
            Text(),
            self._log(max(1, height - _FIXED_LINES)),
        )
        yield Panel(
            body,
            title=Text.assemble(("audio-device", "bold"), f" {self._face.device.device_id}"),
            subtitle=Text(KEYS),
            border_style="cyan",
            padding=(0, 2),
            height=height,
        )

    def _connection(self) -> Text:
        link = self._face.device.link.value
        text = Text.assemble((_LINKS[link], _LINK_STYLES.get(link, "yellow")))
        if link is not Link.OFF:
            text.append(f" {self._face.address}")
        if queued := self._face.device.queued:
            text.append(f"   {queued} queued", style="yellow")
        return text

    def _leds(self) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in LEDS:
            table.add_column(justify="center", ratio=1)
        on = self._face.device.link.value is not Link.OFF
        leds = [led if on else 0 for led in self._face.leds]
        table.add_row(*map(_lamp, range(len(LEDS)), leds))
        table.add_row(*(Text(name) for name, _, _ in LEDS))
        table.add_row(*(Text(_colour_name(led), style="dim") for led in leds))
        return table

    def _sound(self) -> Text:
        heard = self._face.playout.heard(self._at_s)
        ahead_ms = 1000 * self._face.playout.ahead_s(self._at_s)
        if heard is not None:
            position = (f"▶ {_clock(heard.position_s)}", "bold")
            return Text.assemble(position, f"   {ahead_ms:4.0f} ms ahead")
        if self._face.take_open:
            return Text("▶ waiting for sound", style="yellow")
        return Text("■ quiet", style="dim")

    def _level(self) -> Text:
        heard = self._face.playout.heard(self._at_s)
        eighths = round((heard.level if heard else 0.0) * _LEVEL_CELLS * 8)
        full, rest = divmod(eighths, 8)
        bar = "█" * full + (_EIGHTHS[rest] if rest else "")
        text = Text()
        for end, style in ((30, "green"), (42, "yellow"), (_LEVEL_CELLS, "red")):
            text.append(bar[len(text) : end], style=style)
        return text.append("·" * (_LEVEL_CELLS - len(text)), style="dim")

    def _log(self, height: int) -> Group:
        return Group(*map(self._log_line, list(self._face.lines)[-height:]))

    def _log_line(self, line: Line) -> Text:
        since = f"{line.at_s - self._began_s:8.2f}  "
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(since, style="dim").append(line.text, style="bold red" if line.bad else "")
        for number, led in enumerate(line.leds):
            text.append(" ").append(*_glyph(number, led))
        return text


def _lamp(number: int, led: int | None) -> Text:
    """An LED in its case, three lines high, which it lights up a little."""
    glyph, style = _glyph(number, led)
    case = tuple(_CASE + part // 5 for part in shade(led))
    return Text(f"       \n   {glyph}   \n       ", style=f"{style} on {_hex(case)}")


def _glyph(number: int, led: int | None) -> tuple[str, str]:
    """The sign of an LED and its style."""
    _, lit, dark = LEDS[number]
    colour = shade(led)
    return (dark, "dim") if colour == (0, 0, 0) else (lit, f"bold {_hex(colour)}")


def _hex(colour: tuple[int, ...]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def shade(led: int | None) -> tuple[int, int, int]:
    """An LED as a screen can show it: its colour, as bright as its intensity."""
    value = led or 0
    intensity = value & 0xFF
    red, green, blue = (round((value >> shift & 0xFF) * intensity / 255) for shift in (24, 16, 8))
    return red, green, blue


def _colour_name(led: int | None) -> str:
    return f"{led >> 8:06x}" if led and led & 0xFF else "off"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def picture(face: Widgets, at_s: float, began_s: float) -> str:
    """The screen as SVG, 80 by 24, for a page that cannot run it."""
    import io

    console = make_console(
        record=True, width=80, height=24, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", no_color=False,
    )  # fmt: skip
    console.print(Align(Screen(face, at_s, began_s), height=24))
    return console.export_svg(title="audio-device")
