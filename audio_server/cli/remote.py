"""The running server that a command asks: its flags, and how it is asked."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlsplit

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.client.server import DEFAULT_URL, Server, check_url
from audio_server.files.running import running_at
from audio_server.files.small_file import is_token, read_token
from audio_server.process.output import say_json
from audio_server.settings.addresses import is_loopback
from audio_server.settings.places import default_data
from audio_server.settings.values import File

if TYPE_CHECKING:
    from audio_server.client.api import Api

DATA_VARIABLE = "AUDIO_SERVER_DATA"
TOKEN_VARIABLE = "AUDIO_SERVER_HTTP_TOKEN"

T = TypeVar("T")


Url = Annotated[str, Parameter(converter=lambda _, tokens: check_url(tokens[0].value))]
# The second name is the server's own setting: where it is in the environment it counts here, too.
TokenFile = Annotated[File, Parameter(name=("--token-file", "--http-token-file"))]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """The address of the server, and the credentials for it. No flag takes a token: others would
    see it."""

    url: Url | None = None
    """The server's pages; without it those of the server that runs here, else
    http://127.0.0.1:8080."""

    token_file: TokenFile = None
    """File with the operators' token; without one it is taken from AUDIO_SERVER_HTTP_TOKEN."""

    cafile: File = None
    """Authorities to trust (PEM), where the URL begins with https and the system knows them not."""

    def server(self) -> Server:
        """Raises `SetupError` and `CommandError`."""
        return Server(self.url or _url_here(), self._token(), self.cafile)

    def _token(self) -> str | None:
        if self.token_file is not None:
            return read_token(self.token_file, pipes=True)
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if token and not is_token(token):
            raise CommandError(f"{TOKEN_VARIABLE}: holds no token")
        return token or None


def _url_here() -> str:
    """Return the URL of the pages of the server that runs on this machine with the usual data
    folder: their port is another one where 8080 was taken. Pages beyond loopback have a
    certificate and a token, which are named together with their URL."""
    data = os.environ.get(DATA_VARIABLE, "").strip()
    running = running_at(Path(data) if data else default_data())
    if running is None or running.pages is None:
        return DEFAULT_URL
    with suppress(ValueError):
        url = check_url(running.pages)
        if is_loopback(urlsplit(url).hostname or ""):
            return url
    return DEFAULT_URL


def print_line(document: object) -> None:
    """Print a JSON line at once: a program may be waiting for it."""
    say_json(document, indent=None)


def ask(remote: Remote | None, question: Callable[[Api], Awaitable[T]]) -> T:
    """Ask the server one thing. Raises `ServerError`, and as `Remote.server` does."""
    import trio

    from audio_server.client.api import open_api

    async def asking(server: Server) -> T:
        async with open_api(server) as api:
            return await question(api)

    return trio.run(asking, (remote or Remote()).server())
