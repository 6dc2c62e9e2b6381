"""Every setting of the server: its type, its bounds, its default and its meaning.

The command line, the environment and the TOML file are all read from this one class, and the
help page is its docstrings. Nothing here does I/O but the search for the folder of clips.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints
from urllib.parse import urlsplit

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from audio_server.clips.folder import default_clips as shipped_clips
from audio_server.clips.folder import has_clips
from audio_server.cluster.engine import parse_engine
from audio_server.files.home import base_folder, expanded, is_nowhere
from audio_server.rpc.limits import Limits, check_together
from audio_server.rpc.rate_limit import Rate
from audio_server.rpc.trusted_proxies import Network

PlayWhilePlaying = Literal["restart", "ignore", "queue"]
ModeWhilePlaying = Literal["keep", "stop", "switch"]
StopGoes = Literal["home", "keep"]
LogFormat = Literal["auto", "human", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Workers = int | Literal["auto"]
TokenUse = Literal["off", "required"]
ProxyProtocol = Literal["off", "required"]

# Under three packets every hiccup of a scheduler is heard; over two seconds a Stop feels broken.
LEAD_MS_MIN, LEAD_MS_MAX = 60, 2000

WORKERS_MAX = 256


BY_DEFAULT = Path("clips")
"""Stands for `default_clips` by its identity, as the data folder is another setting."""

DEFAULT_HTTP = "127.0.0.1:8080"
"""By its identity it stands for no choice: the same address in words of the user is one."""

OFF = "off"

DEFAULT_TTS = "espeak-ng --stdin --stdout"
"""Part of Debian; the server starts without it, and speaks nothing then."""


class Address(NamedTuple):
    """A host or address, and a TCP port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address | None:
    """Return the address of the setting `http`; None for off.

    Raises `ValueError` for any other text, the user's fault.
    """
    if text == OFF:
        return None
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or port is None or not parts.hostname or parts.netloc != text or "@" in text:
        raise ValueError(f'"{text}" is neither off nor HOST:PORT')
    return Address(parts.hostname, port)


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


def own_clips(data: Path | None) -> Path | None:
    """Return the folder for clips of the user's own; None where nothing is kept."""
    return None if data is None or is_nowhere(data) else data / "clips"


def default_clips(data: Path | None) -> Path:
    """Return `./clips` where there is one, else the user's own clips in the data folder, else those
    that come with the server. A checkout's `./clips` are the latter."""
    here, own, shipped = Path("clips"), own_clips(data), shipped_clips()
    if here.is_dir() and here.resolve() != shipped:
        return here
    return own if own is not None and has_clips(own) else shipped


def default_cache() -> Path:
    """Where transcoded clips are kept, as the XDG base directories have it."""
    return base_folder("XDG_CACHE_HOME", ".cache") / "streaming-audio-server"


def default_data() -> Path:
    """Return the folder of durable data, as the XDG base directories have it."""
    return base_folder("XDG_STATE_HOME", ".local/state") / "streaming-audio-server"


def is_loopback(host: str) -> bool:
    """Return whether a name or address always means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Return the host to connect to from this machine, where a server listens on `host`."""
    return "127.0.0.1" if host in ("::", "0.0.0.0", "") else host


def _command(_: Any, text: str) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("a quote in it is not closed") from None
    if not words:
        raise ValueError("Must be a command, or off.")


_CHANNEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def _workers(_: Any, tokens: Sequence[Token]) -> Workers:
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
        if not _CHANNEL.fullmatch(name):
            form = "1 to 32 letters (a-z), digits, dots, hyphens and underscores"
            raise ValueError(f'"{name}": a channel has {form}, and begins with a letter or a digit')
    return names


def _cluster(_: Any, tokens: Sequence[Token]) -> str:
    parse_engine(tokens[0].value)
    return tokens[0].value


def _not_empty(_: Any, value: str) -> None:
    if not value.strip():
        raise ValueError("A host name or address is needed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Limits):
    """The bounds of connections, and those of each device."""

    presses: Annotated[Rate, rate()] = (50, 20)
    """Presses of one device, over all of its connections: more than a thumb does, and room for
    presses made off line. Past it acknowledgements wait, and nothing is lost."""


def _annotate_limits() -> None:
    """Give the fields of `Limits` their parameters, here since `rpc` knows no command line."""
    for name, hint in get_type_hints(Limits, include_extras=True).items():
        if hint == Rate:
            parameter, kind = rate(), hint
        else:
            least, most = hint.__metadata__[0]
            kind = hint.__origin__
            parameter = whole(least, most) if kind is int else seconds(least, most)
        for owner in (LimitSettings, LimitSettings.__init__):
            owner.__annotations__[name] = Annotated[kind, parameter]


_annotate_limits()


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
TtsCommand = Annotated[str, Parameter(validator=_command)]
Cluster = Annotated[
    str | None, Parameter(converter=_cluster, n_tokens=1, show_default=False, metavar="URL")
]
LeadMs = Annotated[int, whole(LEAD_MS_MIN, LEAD_MS_MAX)]
MaxDevices = Annotated[int, whole(1)]
GraceS = Annotated[float, seconds(0, 300)]
# Not on the help page, which they would double: `audio-server limits` shows them.
LimitTable = Annotated[
    LimitSettings, Parameter(show=False, validator=lambda _, limits: check_together(limits))
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a server. Values made in Python are taken as they are."""

    host: Host = "127.0.0.1"
    """Address or name to listen on, a name with all its addresses; 0.0.0.0 is every IPv4 address,
    :: every address of IPv6 and IPv4."""

    port: Port = 50051
    """TCP port; 0 takes a free one, which the listening line names."""

    http: Http = DEFAULT_HTTP
    """Address of the web UI (HOST:PORT) or off. If the port of the default is taken, the next free
    one is used, which the log names."""

    http_token_file: File = None
    """File with the operators' token; beyond loopback one is made in the data folder."""

    http_keepalive_s: Annotated[float, seconds(1, 3600)] = 75.0
    """How long an idle connection of the pages stays open, 1 to 3600 s: longer than the 60 s of
    load balancers, so that none of their requests meets a close."""

    clips: Clips = BY_DEFAULT
    """Folder of clips; the order of the file names gives the modes. The shipped clips stay as they
    are: with the first change they are copied to `clips` in the data folder."""

    max_upload_mib: Annotated[int, whole(1, 4096)] = 64
    """How large a sound file may be that is uploaded, 1 to 4096 MiB; it may last an hour."""

    tts_command: TtsCommand = DEFAULT_TTS
    """Command that speaks the text of announcements: it reads text on standard input and writes a
    sound file to standard output. No shell runs it; off speaks nothing."""

    live: Channels = ()
    """Names of live channels, with commas between: each is a mode after those of the clips, and
    plays the sound that is sent to it (PUT /api/live/NAME)."""

    live_patience_s: Annotated[float, seconds(0, 300)] = 5.0
    """How long a live channel whose sound has ended sends silence, 0 to 300 s, before it ends on
    devices; sound that comes meanwhile goes on."""

    cache: Cache = field(default_factory=default_cache)
    """Folder where clips are kept once they are Opus."""

    cache_mib: Annotated[int, whole(1, 1 << 20)] = 1024
    """How large that folder may grow, in MiB; clips that were not used for longest go first."""

    data: Data = field(default_factory=default_data)
    """Folder where modes and tokens are kept; off keeps modes in memory, until the server stops."""

    tls_cert: File = None
    """Certificate to serve TLS with (PEM, with the intermediate certificates)."""

    tls_key: File = None
    """Private key of the certificate (PEM, without a password)."""

    tls_client_ca: File = None
    """Authorities of devices (PEM): each needs a certificate whose common name is its id."""

    tokens: TokenUse = "off"
    """Whether each device needs its token, which `audio-server devices enroll` gives it."""

    trusted_proxies: Networks = ()
    """Addresses or networks of proxies before the port, with commas between: each carries many
    devices, so that the limits of a connection or an address are a hundred times as wide."""

    proxy_protocol: ProxyProtocol = "off"
    """Whether each connection of `trusted_proxies` to the port of devices begins with a PROXY
    header (version 1 or 2), so that the client's own address counts; others come without."""

    cluster: Cluster = None
    """URL of the Valkey or Redis (7 or newer) that several servers share: redis://HOST, or rediss://
    with TLS; with Sentinel redis+sentinel://HOST,HOST/PRIMARY. A user may stand before the host."""

    cluster_password_file: File = None
    """File with the password for it."""

    cluster_ca: File = None
    """Authorities of its certificate (PEM), in the place of the system's."""

    cluster_replicas: Annotated[int, whole(0, 16)] = 0
    """How many of its replicas have a mode too before a press is acknowledged, 0 to 16."""

    lead_ms: LeadMs = 300
    """How far sound is sent ahead of real time, 60 to 2000 ms; Stop is felt within it."""

    play_while_playing: PlayWhilePlaying = "restart"
    """Effect of Play while a clip plays."""

    mode_while_playing: ModeWhilePlaying = "keep"
    """Effect of Mode on the clip that plays."""

    stop_goes: StopGoes = "home"
    """Whether Stop goes back to mode 0 or keeps the mode."""

    max_devices: MaxDevices = 10_000
    """How many devices a worker takes at once; one more is answered RESOURCE_EXHAUSTED."""

    limits: LimitTable = field(default_factory=LimitSettings)
    """Limits on a peer."""

    grace_s: GraceS = 10.0
    """How long a stopping server waits for its devices, in seconds (0 to 300)."""

    drain_s: Annotated[float, seconds(0, 3600)] = 0.0
    """How long a stopping server takes to ask one device after the other to leave, before the time
    of `grace_s`, in seconds (0 to 3600): for servers whose devices then come to others."""

    workers: Annotated[Workers, Parameter(converter=_workers)] = 1
    """How many processes share the port, 1 to 256; auto is one for each core there is to use."""

    worker_ports: Port = 0
    """First of the TCP ports that each worker has for itself, upwards by its number, besides the
    one that all share: for proxies that balance calls by a hash of the device. 0: none."""

    hang_s: Annotated[float, seconds(2, 3600)] = 10.0
    """How long the loop of a worker may stand still before the worker is replaced (2 to 3600 s)."""

    log_level: LogLevel = "info"
    """The least severe lines that are logged."""

    log_format: LogFormat = "auto"
    """How lines are logged; auto is human on a terminal, json elsewhere."""

    def __post_init__(self) -> None:
        if self.clips is BY_DEFAULT:
            object.__setattr__(self, "clips", default_clips(self.data))

    @property
    def tts_argv(self) -> Sequence[str]:
        """The words of `tts_command`; none where it is off."""
        return () if self.tts_command == OFF else shlex.split(self.tts_command)

    @property
    def own_clips(self) -> Path | None:
        """The folder that takes the place of the shipped clips when they are changed."""
        return own_clips(self.data) if self.clips == shipped_clips() else None
