"""The types of settings, with their bounds and their forms as text.

The user's fault raises `ValueError`, with a text for the user.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from ipaddress import ip_network
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from audio_server.clips.web_address import is_web
from audio_server.cluster.engine import parse_engine
from audio_server.files.home import expanded, is_nowhere
from audio_server.rpc.rate_limit import Rate
from audio_server.rpc.trusted_proxies import Network
from audio_server.settings.addresses import parse_address

PlayWhilePlaying = Literal["restart", "ignore", "queue"]
ModeWhilePlaying = Literal["keep", "stop", "switch"]
StopGoes = Literal["home", "keep"]
LogFormat = Literal["auto", "human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
WorkerNumber = int | Literal["auto"]
TokenUse = Literal["off", "required"]
ProxyProtocol = Literal["off", "required"]

# Under three packets every hiccup of a scheduler is heard; over two seconds a Stop feels broken.
LEAD_MS_MIN, LEAD_MS_MAX = 60, 2000

LUFS_MIN, LUFS_MAX = -31, -12

BRIGHTNESS_MIN, BRIGHTNESS_MAX = 1, 100
"""In percent. Dark LEDs would show no state."""

WORKERS_MAX = 256


_RATE_MOST = 1_000_000


def whole(least: int, most: int | None = None) -> Parameter:
    """A whole number from `least` to `most`."""
    return Parameter(converter=_exact_int, validator=Number(gte=least, lte=most))


def seconds(least: float, most: float) -> Parameter:
    """A time from `least` to `most`."""
    return Parameter(validator=(_finite, Number(gte=least, lte=most)))


def rate() -> Parameter:
    """A `Rate` that lets something through, written as its two numbers with a comma between."""
    return Parameter(converter=_rate, n_tokens=1, metavar="BURST,PER_S")


def bounds_of(parameter: Parameter) -> str:
    """Return the bounds of a number in words; empty without bounds."""
    validators = parameter.validator
    for bounds in validators if isinstance(validators, tuple) else ():
        if isinstance(bounds, Number):
            return f"{bounds.gte} " + ("or more" if bounds.lte is None else f"to {bounds.lte}")
    return ""


def _exact_int(_: Any, tokens: Sequence[Token]) -> int:
    """The library would round 1.5 to 2; a wrong value is an error."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f'"{tokens[0].value}" is not a whole number') from None


def _finite(_: Any, value: float) -> None:
    if not isfinite(value):
        raise ValueError("Must be a number of seconds.")


def _rate(_: Any, tokens: Sequence[Token]) -> Rate:
    text = tokens[0].value
    try:
        burst, per_s = text.split(",")
        found = int(burst), float(per_s)
    except ValueError:
        raise ValueError(f'"{text}" is not BURST,PER_S') from None
    if not (1 <= found[0] <= _RATE_MOST and 0 < found[1] <= _RATE_MOST):
        raise ValueError(f'"{text}" is no rate: 1 or more at once, above 0 a second')
    return found


def _command(_: Any, text: str) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("a quote in it is not closed") from None
    if not words:
        raise ValueError("Must be a command, or off.")


LIVE_COMMANDS = ("channels", "recordings")

_CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def _workers(_: Any, tokens: Sequence[Token]) -> WorkerNumber:
    text = tokens[0].value
    if text == "auto":
        return "auto"
    if not text.isdecimal() or not 1 <= int(text) <= WORKERS_MAX:
        raise ValueError(f'"{text}" is neither auto nor a number from 1 to {WORKERS_MAX}')
    return int(text)


def _path(_: Any, tokens: Sequence[Token]) -> Path:
    """No shell expands `~` in a TOML file, and an empty path would mean the working folder."""
    if not tokens[0].value:
        raise ValueError("a path is needed")
    return expanded(tokens[0].value)


def _path_or_off(_: Any, tokens: Sequence[Token]) -> Path | None:
    if not tokens[0].value:
        raise ValueError("a path is needed, or off")
    return None if tokens[0].value == "off" else _path(_, tokens)


def _shown_folder(folder: Path | None) -> object:
    return "none, since there is no home" if is_nowhere(folder) else folder


def _http(_: Any, tokens: Sequence[Token]) -> str:
    parse_address(tokens[0].value)
    return tokens[0].value


def _networks(_: Any, tokens: Sequence[Token]) -> tuple[Network, ...]:
    text = tokens[0].value
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is no address or network, as 192.0.2.7 or 10.0.0.0/8') from None


def _channels(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in tokens[0].value.split(",")))
    for name in names:
        _check_channel(name)
    return names


def _check_channel(name: str) -> None:
    if not _CHANNEL.fullmatch(name):
        form = "1 to 32 letters (a-z), digits, dots, hyphens and underscores"
        raise ValueError(f'"{name}": a channel has {form}, and begins with a letter or a digit')
    if name in LIVE_COMMANDS:
        raise ValueError(f'"{name}" is no name for a channel: it is a command of `live`')


def _hosts(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    hosts = (part.strip() for part in tokens[0].value.split(","))
    return tuple(dict.fromkeys(host for host in hosts if host))


def _sources(_: Any, tokens: Sequence[Token]) -> tuple[tuple[str, str], ...]:
    sources: dict[str, str] = {}
    for part in tokens[0].value.split():
        name, equals, url = part.partition("=")
        if not equals:
            raise ValueError(f'"{part}" is not NAME=URL')
        _check_channel(name)
        if not is_web(url):
            raise ValueError(f"{name}: the source has to be a URL of http or https")
        sources[name] = url
    return tuple(sources.items())


def _cluster(_: Any, tokens: Sequence[Token]) -> str:
    parse_engine(tokens[0].value)
    return tokens[0].value


def _loudness(_: Any, tokens: Sequence[Token]) -> int | None:
    text = tokens[0].value
    if text == "off":
        return None
    if not re.fullmatch(r"-[0-9]{1,2}", text) or not LUFS_MIN <= int(text) <= LUFS_MAX:
        raise ValueError(f'"{text}" is neither off nor a number from {LUFS_MIN} to {LUFS_MAX}')
    return int(text)


def _not_empty(_: Any, value: str) -> None:
    if not value.strip():
        raise ValueError("A host name or address is needed.")


ConfigFile = Annotated[
    Path | None, Parameter(converter=_path, help="TOML file of the server's settings.")
]
Folder = Annotated[Path, Parameter(converter=_path)]
File = Annotated[Path | None, Parameter(converter=_path, show_default=False)]
Cache = Annotated[Folder, Parameter(show_default=_shown_folder)]
Data = Annotated[Path | None, Parameter(converter=_path_or_off, show_default=_shown_folder)]
SHOWN_CLIPS = "./clips, else your own, else the shipped ones"
Clips = Annotated[Folder, Parameter(show_default=lambda _: SHOWN_CLIPS)]
Host = Annotated[str, Parameter(validator=_not_empty)]
Http = Annotated[str, Parameter(converter=_http)]
Port = Annotated[int, whole(0, 65535)]
Networks = Annotated[
    tuple[Network, ...],
    Parameter(converter=_networks, n_tokens=1, show_default=False, metavar="NETWORK,..."),
]
Channels = Annotated[
    tuple[str, ...],
    Parameter(converter=_channels, n_tokens=1, show_default=False, metavar="NAME,..."),
]
Hosts = Annotated[
    tuple[str, ...],
    Parameter(converter=_hosts, n_tokens=1, show_default=False, metavar="HOST,..."),
]
Sources = Annotated[
    tuple[tuple[str, str], ...],
    Parameter(converter=_sources, n_tokens=1, show_default=False, metavar='"NAME=URL ..."'),
]
TtsCommand = Annotated[str, Parameter(validator=_command)]
Cluster = Annotated[
    str | None, Parameter(converter=_cluster, n_tokens=1, show_default=False, metavar="URL")
]
Workers = Annotated[WorkerNumber, Parameter(converter=_workers)]
LeadMs = Annotated[int, whole(LEAD_MS_MIN, LEAD_MS_MAX)]
Loudness = Annotated[
    int | None,
    Parameter(
        converter=_loudness,
        n_tokens=1,
        allow_leading_hyphen=True,
        metavar="LUFS",
        show_default=lambda _: "off",
    ),
]
LedBrightness = Annotated[int, whole(BRIGHTNESS_MIN, BRIGHTNESS_MAX)]
MaxDevices = Annotated[int, whole(1)]
GraceS = Annotated[float, seconds(0, 300)]
