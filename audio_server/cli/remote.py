"""The running server that a command asks: its flags, and how it is asked."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.client.server import DEFAULT_URL, Server, check_url
from audio_server.files.small_file import is_token, read_token
from audio_server.process.output import say_json
from audio_server.settings import File

if TYPE_CHECKING:
    from audio_server.client.api import Api

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

    url: Url = DEFAULT_URL
    """The server's pages."""

    token_file: TokenFile = None
    """File with the operators' token; without one it is taken from AUDIO_SERVER_HTTP_TOKEN."""

    cafile: File = None
    """Authorities to trust (PEM), where the URL begins with https and the system knows them not."""

    def server(self) -> Server:
        """Raises `SetupError` and `CommandError`."""
        return Server(self.url, self._token(), self.cafile)

    def _token(self) -> str | None:
        if self.token_file is not None:
            return read_token(self.token_file, pipes=True)
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if token and not is_token(token):
            raise CommandError(f"{TOKEN_VARIABLE}: holds no token")
        return token or None


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
