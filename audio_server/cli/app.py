"""The commands and how they are put together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING

from cyclopts import App, Group, Parameter

from audio_server.cli import layers
from audio_server.errors import leaves
from audio_server.files.home import is_nowhere
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.settings import Settings
from audio_server.settings.values import ConfigFile

if TYPE_CHECKING:
    from audio_server.app import Run

HELP = """Play clips on devices that have six LEDs, four buttons and a loudspeaker.

Every setting can be a flag (--lead-ms 200), an environment variable
(AUDIO_SERVER_LEAD_MS=200) or a line of a TOML file (lead_ms = 200); the
first of these that is there counts.

Limits on a peer are settings of their own (--limits.idle-s 30), which
`audio-server limits` lists.
"""


COMMANDS = Group("Commands", sort_key=0)
RUNNING = Group("Commands for a running server", sort_key=1)
PARAMETERS = Group("Parameters", sort_key=2)

app = App(
    name="audio-server",
    help=HELP,
    version=lambda: metadata.version("streaming-audio-server"),
    help_format="plaintext",  # Markdown would take a third of the time of a help page
    help_formatter=HELP_FORMATTER,
    config=(layers.no_table, layers.environment, layers.toml_file),
    default_parameter=Parameter(negative=()),
    group_commands=COMMANDS,
    group_parameters=PARAMETERS,
)


def _ask(function: str, help: str) -> None:
    """A command that asks a running server."""
    name = function.partition(":")[2]
    app.command(f"audio_server.cli.{function}", name=name, help=help, group=RUNNING)


app.command("audio_server.cli.clips:app", name="clips", help="List clips, and change them.")
app.command(
    "audio_server.cli.devices:app",
    name="devices",
    help="List the devices, connected or away; forget one; give devices tokens.",
    group=RUNNING,
)
app.command(
    "audio_server.cli.groups:app",
    name="groups",
    help="List groups of devices and their settings, or change settings.",
    group=RUNNING,
)
app.command(
    "audio_server.cli.dev_certs:dev_certs",
    name="dev-certs",
    help="Make certificates to try mutual TLS with.",
)
app.command(
    "audio_server.cli.limits:limits", name="limits", help="List the limits on a peer, as settings."
)
app.command(
    "audio_server.cli.backup:backup",
    name="backup",
    help="Write all that a server keeps to one file.",
)
app.command(
    "audio_server.cli.backup:restore",
    name="restore",
    help="Put a backup in the place of a data folder.",
)
app.command(
    "audio_server.cli.state:app",
    name="state",
    help="Bring the state of a server into a cluster.",
)
app.command("audio_server.cli.check:check", name="check", help="Say whether a server answers.")
app.command(
    "audio_server.cli.judge:judge",
    name="judge",
    help="Judge devices that connect to it, or to a running server.",
)
app.command("audio_server.cli.proto:proto", name="proto", help="Print comms.proto.")
app.command(
    "audio_server.cli.completion:completion",
    name="completion",
    help="Print a script with which a shell completes these commands.\n\n"
    "source <(audio-server completion bash)",
)
_ask("live:top", "Watch the devices of a running server, until q or Ctrl-C.")
_ask("actions:press", "Press a button of a device, as the device itself would.")
_ask("actions:play", "Play a clip on devices now.")
_ask("announce:announce", "Play a sound, or speak text, over what plays; that goes on afterwards.")
_ask("actions:stop", "Stop playback on devices.")
_ask("actions:rename", "Give a device a name, or take it away.")
_ask("actions:tag", "Give devices a tag: all with a tag are a group.")
_ask("actions:untag", "Take a tag away from devices.")
app.command(
    "audio_server.cli.live_sound:app",
    name="live",
    help="Send sound to a live channel; list, fetch and delete recordings.",
    group=RUNNING,
)
_ask("live:logs", "Print past events of devices, and those that follow.")


@app.default
@app.command
def serve(settings: Settings | None = None, *, config: ConfigFile = None) -> None:
    """Serve devices until a signal ends it (the default command)."""
    import faulthandler

    import trio

    from audio_server.app import serve as serve_until_signal
    from audio_server.cli.progress import clip_progress
    from audio_server.process.gc_policy import spare_old_objects
    from audio_server.process.logs import configure_logs
    from audio_server.process.queued_stderr import queue_stderr
    from audio_server.process.rlimits import allow_devices

    settings = settings or Settings()
    with suppress(OSError, ValueError, RuntimeError):  # no file to write to
        faulthandler.enable()  # before it is queued: a loop that hangs tells where on SIGABRT
    queue_stderr()
    configure_logs(settings.log_format, settings.log_level)
    settings = _without_home(settings)
    spare_old_objects()
    allow_devices(settings.max_devices)
    with clip_progress() as progress, _named(f"{settings.host}:{settings.port}"):
        again = config if config is not None and config.is_file() else None  # no pipe
        serve = partial(serve_until_signal, settings, config=again)
        trio.run(partial(serve, run=_run_of(settings), progress=progress))


def _without_home(settings: Settings) -> Settings:
    """Return settings that keep nothing where there is no place for it, and warn of that."""
    import structlog

    log = structlog.get_logger()
    if is_nowhere(settings.cache):
        log.warning("clips are not cached: there is no home", see="--cache FOLDER")
    if is_nowhere(settings.data):
        log.warning("modes are not saved: there is no home", see="--data FOLDER")
        return replace(settings, data=None)
    return settings


def _run_of(settings: Settings) -> Run:
    """Return the server of one process, or of several."""
    from audio_server.process.cores import worker_count

    if worker_count(settings.workers) > 1:
        from audio_server.workers.supervisor import supervise

        return supervise
    from audio_server.app import serve_until

    return serve_until


@contextmanager
def _named(address: str) -> Iterator[None]:
    """An `OSError` about no file is about the address: say so."""
    try:
        yield
    except (OSError, BaseExceptionGroup) as error:
        for cause in leaves(error):
            if isinstance(cause, OSError) and not cause.filename:
                cause.filename = address
        raise
