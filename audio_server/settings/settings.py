"""Every setting of the server: its type, its bounds, its default and its meaning.

The command line, the environment and the TOML file are all read from this one class, and the
help page is its docstrings. Nothing here does I/O but the search for the folder of clips.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audio_server.clips.folder import default_clips as shipped_clips
from audio_server.settings.addresses import OFF
from audio_server.settings.limits import LimitSettings, LimitTable
from audio_server.settings.places import default_cache, default_clips, default_data, own_clips
from audio_server.settings.values import (
    Cache,
    Channels,
    Clips,
    Cluster,
    Data,
    File,
    GraceS,
    Host,
    Hosts,
    Http,
    LeadMs,
    LedBrightness,
    LogFormat,
    LogLevel,
    Loudness,
    MaxDevices,
    ModeWhilePlaying,
    Networks,
    PlayWhilePlaying,
    Port,
    ProxyProtocol,
    Sources,
    StopGoes,
    TokenUse,
    TtsCommand,
    Workers,
    seconds,
    whole,
)

BY_DEFAULT = Path("clips")
"""Stands for `default_clips` by its identity, as the data folder is another setting."""

DEFAULT_HTTP = "127.0.0.1:8080"
"""By its identity it stands for no choice: the same address in words of the user is one."""

DEFAULT_TTS = "espeak-ng --stdin --stdout"
"""Part of Debian; the server starts without it, and speaks nothing then."""


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

    loudness: Loudness = None
    """Loudness to which sound is brought when it is encoded, -31 to -12 LUFS (EBU R128: -16 for
    speech and music, -23 as in broadcasts), with a limiter; off leaves it as loud as its file, and
    so is Opus that is sent as it is, and live sound."""

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

    live_sources: Sources = ()
    """URLs that the server itself reads for live channels, as NAME=URL with blanks between: each
    channel is there with the others, and its stream is opened again when it breaks off."""

    live_allow_hosts: Hosts = ()
    """Hosts to which those URLs may lead by redirects and lists, and names of the web that lead to
    addresses of a private network, with commas between; * stands for any text of a name."""

    record: bool = False
    """Keep the sound of live channels as it is sent, in `recordings` of the data folder."""

    record_minutes: Annotated[int, whole(1, 60)] = 60
    """How long a recording is before it goes on in another one, 1 to 60 minutes."""

    record_days: Annotated[int, whole(1, 3650)] = 30
    """How long recordings are kept, 1 to 3650 days."""

    record_mib: Annotated[int, whole(1, 1 << 20)] = 1024
    """How large all recordings may be together, in MiB; the oldest go first."""

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

    led_brightness: LedBrightness = 100
    """Brightness of the LEDs in percent, 1 to 100: their colours are dimmed, as stock devices
    ignore the intensity."""

    max_devices: MaxDevices = 10_000
    """How many devices a worker takes at once; one more is answered RESOURCE_EXHAUSTED."""

    limits: LimitTable = field(default_factory=LimitSettings)
    """Limits on a peer."""

    grace_s: GraceS = 10.0
    """How long a stopping server waits for its devices, in seconds (0 to 300)."""

    drain_s: Annotated[float, seconds(0, 3600)] = 0.0
    """How long a stopping server takes to ask one device after the other to leave, before the time
    of `grace_s`, in seconds (0 to 3600): for servers whose devices then come to others."""

    workers: Workers = 1
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
    def channels(self) -> Sequence[str]:
        """The names of all live channels, in the order of their modes."""
        return tuple(dict.fromkeys((*self.live, *(name for name, _ in self.live_sources))))

    @property
    def tts_argv(self) -> Sequence[str]:
        """The words of `tts_command`; none where it is off."""
        return () if self.tts_command == OFF else shlex.split(self.tts_command)

    @property
    def own_clips(self) -> Path | None:
        """The folder that takes the place of the shipped clips when they are changed."""
        return own_clips(self.data) if self.clips == shipped_clips() else None
